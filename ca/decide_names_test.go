package ca

import (
	"strings"

	"github.com/sshmint/sshmint/internal/testpki"
	"github.com/sshmint/sshmint/internal/wire"
)

const (
	oidEmailAttribute = "1.2.840.113549.1.9.1"
	sid1              = "S-1-5-21-1-2-3-1107"
	sid2              = "S-1-5-21-1-2-3-1108"
)

func rule1(lines string) string {
	return trustCorp + "[[rule]]\nname = 'r'\ntrust = 'corp'\n" + lines + "\n"
}

// refusedNames are leaves whose chain holds and whose names must not become
// principals.
var refusedNames = []refused{
	// What a principal may be.
	{"comma", wire.PrincipalRefused, "holds ','", byCNAny, leaf("alice,root"), leaf("alice.root")},
	{"blank", wire.PrincipalRefused, "a blank", byCNAny, leaf("alice root"), leaf("alice.root")},
	{"trailing blank", wire.PrincipalRefused, "a blank", byCNAny, leaf("alice "), leaf("alice")},
	{"no-break space", wire.PrincipalRefused, "a blank", byCNAny, leaf("alice\u00a0"), leaf("alice")},
	{"quote", wire.PrincipalRefused, `holds '"'`, byCNAny, leaf(`alice"`), leaf("alice")},
	{"backslash", wire.PrincipalRefused, `holds '\\'`, byCNAny, leaf(`alice\`), leaf("alice")},
	{"comment", wire.PrincipalRefused, "begins with", byCNAny, leaf("#alice"), leaf("alice")},
	{"zero-width joiner", wire.PrincipalRefused, "cannot be seen", byCNAny, leaf("alice\u200d"), leaf("alice")},
	{"right-to-left override", wire.PrincipalRefused, "cannot be seen", byCNAny, leaf("\u202eecila"), leaf("ecila")},
	{"line separator", wire.PrincipalRefused, "is not allowed", byCNAny, leaf("alice\u2028root"), leaf("alice.root")},
	{"256 bytes", wire.PrincipalRefused, "more than 255 bytes", byCNAny + "person = '\"p\"'", leaf(strings.Repeat("a", 256)), leaf(strings.Repeat("a", 255))},
	{"NUL in a common name", wire.BadRequest, "control character", byCNAny, leaf("alice\x00"), leaf("alice")},
	{"newline in a common name", wire.BadRequest, "control character", byCNAny, leaf("alice\nroot"), leaf("alice.root")},
	{"C1 control in a common name", wire.BadRequest, "control character", byCNAny, leaf("alice\u0085"), leaf("alice")},

	// The default pattern.
	{"upper case", wire.PrincipalRefused, "pattern", byCN, leaf("Alice"), leaf("alice")},
	{"unicode look-alike", wire.PrincipalRefused, `"\u0430lice"`, byCN, leaf("\u0430lice"), leaf("alice")},
	{"full-width letter", wire.PrincipalRefused, "pattern", byCN, leaf("\uff41lice"), leaf("alice")},
	{"33 characters", wire.PrincipalRefused, "pattern", byCN, leaf(strings.Repeat("a", 33)), leaf(strings.Repeat("a", 32))},
	{"leading dash", wire.PrincipalRefused, "pattern", byCN, leaf("-oProxyCommand"), leaf("oproxycommand")},
	{"leading digit", wire.PrincipalRefused, "pattern", byCN, leaf("0"), leaf("a0")},
	{"slash", wire.PrincipalRefused, "pattern", byCN, leaf("../alice"), leaf("alice")},
	{"a pattern without anchors", wire.PrincipalRefused, "pattern", byCN + "pattern = '[a-z]+'\n", leaf("alice;root"), leaf("alice")},
	{"a pattern with an alternative", wire.PrincipalRefused, "pattern", byCN + "pattern = 'bob|alice'\n", leaf("alice2"), leaf("alice")},
	{"empty", wire.PrincipalRefused, "empty", byCNAny + "person = '\"p\"'\n", leaf("", testpki.Attribute(oidCommonName, "")), leaf("", testpki.Attribute(oidCommonName, "alice"))},

	// Accounts that no expression may name.
	{"root", wire.PrincipalRefused, "reserved", byCN, leaf("root"), leaf("roots")},
	{"ROOT", wire.PrincipalRefused, "reserved", byCNAny, leaf("ROOT"), leaf("ROOTS")},
	{"postgres", wire.PrincipalRefused, "reserved", byCN, leaf("postgres"), leaf("postgresql")},
	{"systemd-network", wire.PrincipalRefused, "reserved", byCN, leaf("systemd-network"), leaf("systemdnetwork")},
	{"_apt", wire.PrincipalRefused, "reserved", byCN, leaf("_apt"), leaf("apt")},
	{"first user of a cloud image", wire.PrincipalRefused, "reserved", byCN, leaf("ec2-user"), leaf("ec2-users")},
	{"reserved by the configuration", wire.PrincipalRefused, "reserved", "reserved = ['deploy*']\n" + byCN, leaf("deploy-prod"), leaf("prod-deploy")},
	{"root from an e-mail address", wire.PrincipalRefused, "reserved", byMail, mail("Root@corp.example.com"), mail("Rooot@corp.example.com")},
	{"root from a table", wire.PrincipalRefused, "reserved", rolesToml, upn("root@corp.example.com"), upn("alice@corp.example.com")},
	{"upper case from a table", wire.PrincipalRefused, "pattern", rolesToml, upn("carol@corp.example.com"), upn("alice@corp.example.com")},
	{"nobody in the table", wire.PrincipalRefused, "no principal", rolesToml, upn("mallory@corp.example.com"), upn("alice@corp.example.com")},
	{"a table's name in other case", wire.PrincipalRefused, "no principal", rolesToml, upn("ALICE@corp.example.com"), upn("alice@corp.example.com")},

	// Addresses.
	{"foreign domain", wire.PrincipalRefused, "no principal", byMail, mail("alice@evil.example"), mail("alice@corp.example.com")},
	{"subdomain", wire.PrincipalRefused, "no principal", byMail, mail("alice@sub.corp.example.com"), mail("alice@corp.example.com")},
	{"domain as an ending", wire.PrincipalRefused, "no principal", byMail, mail("alice@evilcorp.example.com"), mail("alice@corp.example.com")},
	{"domain as a beginning", wire.PrincipalRefused, "no principal", byMail, mail("alice@corp.example.com.evil.example"), mail("alice@corp.example.com")},
	{"trailing dot", wire.PrincipalRefused, "no principal", byMail, mail("alice@corp.example.com."), mail("alice@corp.example.com")},
	{"two @, foreign first", wire.PrincipalRefused, "no principal", byMail, mail("alice@evil.example@corp.example.com"), mail("alice@corp.example.com")},
	{"two @, foreign last", wire.PrincipalRefused, "no principal", byUPN, upn("alice@corp.example.com@evil.example"), upn("alice@corp.example.com")},
	{"no @", wire.PrincipalRefused, "no principal", byUPN, upn("alice"), upn("alice@corp.example.com")},
	{"no local part", wire.PrincipalRefused, "empty", byMail, mail("@corp.example.com"), mail("alice@corp.example.com")},
	{"Kelvin sign", wire.PrincipalRefused, `"\u212aate"`, byUPN, upn("\u212aate@corp.example.com"), upn("Kate@corp.example.com")},
	{"Kelvin sign in the domain", wire.PrincipalRefused, "no principal", rule1(`principals = 'local(cert.upns, "k.example")'`), upn("alice@\u212a.example"), upn("alice@K.example")},
	{"comma in an address", wire.PrincipalRefused, "holds ','", byMail, mail(`alice,root@corp.example.com`), mail("alice.root@corp.example.com")},
	{
		"e-mail address in the subject alone", wire.PrincipalRefused, "no principal", byMail,
		leaf("alice", testpki.Attribute(oidEmailAttribute, "alice@corp.example.com")), leaf("alice", testpki.Email("alice@corp.example.com")),
	},
	{
		"one good address and a bad one", wire.PrincipalRefused, "reserved", byMail + "person = '\"p\"'\n",
		mail("alice@corp.example.com", "root@corp.example.com"), mail("alice@corp.example.com", "root2@corp.example.com"),
	},

	// Several values where one is meant.
	{"two UPNs", wire.RefusedByRule, "cannot tell whose", byUPN, upn("alice@corp.example.com", "bob@corp.example.com"), upn("alice@corp.example.com")},
	{
		"two UPNs and one e-mail address", wire.RefusedByRule, "cannot tell whose", byMail,
		san(testpki.UPNName("alice@x.example"), testpki.UPNName("bob@x.example"), testpki.EmailName("alice@corp.example.com")),
		san(testpki.UPNName("alice@x.example"), testpki.EmailName("alice@corp.example.com")),
	},
	{"two e-mail addresses", wire.RefusedByRule, "cannot tell whose", byMail, mail("alice@corp.example.com", "alice@x.example"), mail("alice@corp.example.com")},
	{"two common names", wire.RefusedByRule, "cannot tell whose", byCN, twoCNs, leaf("alice")},
	{
		"one() of two UPNs", wire.RefusedByRule, "could not be evaluated", rule1(`principals = '[one(cert.upns)]'` + "\npattern = '.*'"),
		upn("alice@x.example", "bob@x.example"), upn("alice@x.example"),
	},
	{"one() of nothing", wire.RefusedByRule, "could not be evaluated", rule1(`match = 'one(cert.emails) != ""'` + "\ngrant = ['user']"), leaf("alice"), leaf("alice", testpki.Email("a@x.example"))},
	{
		"an element that is not there", wire.RefusedByRule, "could not be evaluated", rule1(`principals = '[cert.common_names[1]]'` + "\nperson = '\"p\"'"),
		leaf("alice"), twoCNs,
	},

	// What reads like another attribute.
	{`\,OU= inside a common name`, wire.NoRule, "no rule", bySubject(`,OU=admin`), leaf("alice,OU=admin"), inOU("alice", "admin")},
	{"OU= inside a common name", wire.NoRule, "no rule", bySubject(`OU=admin`), leaf("OU=admin"), inOU("alice", "admin")},
	{"+OU= inside a common name", wire.NoRule, "no rule", bySubject(`OU=admin`), leaf("alice+OU=admin"), inOU("alice", "admin")},
	{"OU as part of another", wire.NoRule, "no rule", rule1(`match = '"admin" in cert.organizational_units'` + "\ngrant = ['user']"), inOU("alice", "admins"), inOU("alice", "admin")},

	// Persons.
	{"nobody's name", wire.RefusedByRule, "cannot tell whose", literal, nameless(), leaf("alice")},
	{"an empty person", wire.RefusedByRule, "cannot tell whose", literal + "person = 'cert.sid'\n", leaf("alice"), leaf("alice", testpki.SID(sid1))},
	{"129 bytes of person", wire.RefusedByRule, "cannot tell whose", literal, leaf(strings.Repeat("x", 129)), leaf(strings.Repeat("x", 128))},
	{"43 blanks of person", wire.RefusedByRule, "cannot tell whose", literal, leaf("x" + strings.Repeat(" ", 43) + "x"), leaf("x" + strings.Repeat(" ", 42) + "x")},
	{
		"an account that is closed", wire.RefusedByRule, "ask the desk", trustCorp + "[[rule]]\nname='gone'\ntrust='corp'\nmatch='cert.sid == \"" + sid1 + "\"'\nrefuse='ask the desk'\n" + strings.TrimPrefix(literal, trustCorp),
		leaf("alice", testpki.SID(sid1)), leaf("alice", testpki.SID(sid2)),
	},
}

const rolesToml = trustCorp + "[table.roles]\nfile = 'roles.txt'\n[[rule]]\nname = 'r'\ntrust = 'corp'\nprincipals = 'lookup(\"roles\", cert.upns)'\n"

func bySubject(part string) string {
	return rule1(`match = 'cert.subject.contains("`+part+`")'`) + "grant = ['user']\n"
}

var twoCNs = leaf("", testpki.Attribute(oidCommonName, "alice"), testpki.Attribute(oidCommonName, "bob"))

func inOU(cn, ou string) presents {
	return leaf("", testpki.Attribute(oidOrganizationalUnit, ou), testpki.Attribute(oidCommonName, cn))
}
