package importrules

// A rule forbids packages to reach others. Paths without a dot in their first element, other than the
// standard library's in to, are relative to the module and stand for all that is below them too.
type rule struct {
	name   string
	from   []string // who is bound by it; empty: every package of the module
	except []string
	to     []string
	follow follow
	why    string
}

// follow says through which imports a rule looks.
type follow int

const (
	everything follow = iota // all that ends up in the program
	ownCode                  // through packages of this module; what a dependency imports is its own affair
	directly                 // the package's own import declarations
)

var (
	cli       = []string{"github.com/urfave/cli"}
	tokens    = []string{"github.com/miekg/pkcs11", "github.com/ThalesGroup/crypto11", "github.com/ThalesIgnite/crypto11"}
	keyring   = []string{"github.com/zalando/go-keyring"}
	policy    = []string{"cel.dev/cel-go", "cel.dev/expr", "github.com/google/cel-go"}
	databases = []string{"database/sql", "github.com/jackc/pgx", "modernc.org/sqlite", "github.com/mattn/go-sqlite3", "go.etcd.io/bbolt"}
)

const alone = "agent, identity, pkcs11, signer and ca know nothing of one another, so that each can be read and tested alone; " +
	"the interface belongs to its consumer, and a program under cmd wires the two"

var rules = []rule{
	{
		name: "agent stands alone", why: alone,
		from: []string{"agent"}, to: []string{"identity", "pkcs11", "signer", "ca", "cmd"},
	},
	{
		name: "identity stands alone", why: alone,
		from: []string{"identity"}, to: []string{"agent", "pkcs11", "signer", "ca", "cmd"},
	},
	{
		name: "pkcs11 stands alone", why: alone,
		from: []string{"pkcs11"}, to: []string{"agent", "identity", "signer", "ca", "cmd"},
	},
	{
		name: "signer stands alone", why: alone,
		from: []string{"signer"}, to: []string{"agent", "identity", "pkcs11", "ca", "cmd"},
	},
	{
		name: "ca stands alone", why: alone,
		from: []string{"ca"}, to: []string{"agent", "identity", "pkcs11", "signer", "cmd"},
	},
	{
		name: "agent sees no X.509",
		why: "what answers an untrusted peer must not be able to hold the X.509 key, with which one could become the user at the CA " +
			"(x/crypto/ssh parses key files with crypto/x509; that is its own affair)",
		from: []string{"agent"}, to: []string{"crypto/x509", "crypto/tls"}, follow: ownCode,
	},
	{
		name: "signer sees no agent socket",
		why:  "a certificate is asked for on the user's behalf, never on behalf of a peer of the agent",
		from: []string{"signer"}, to: []string{"internal/control", "golang.org/x/crypto/ssh/agent"},
	},
	{
		name:   "command lines only under cmd",
		why:    "a library that reads flags cannot be used by another program",
		except: []string{"cmd"}, to: cli,
	},
	{
		name:   "PKCS#11 modules only in the helper",
		why:    "a vendor's module is foreign code in C; it runs in a process of its own, where its crash or its memory is not the agent's",
		except: []string{"pkcs11", "cmd/sshmint-pkcs11"}, to: tokens,
	},
	{
		name: "keyring only in identity",
		why:  "one place knows how secrets are kept in the OS's keyring and what happens when it is locked",
		to:   keyring, except: []string{"identity"}, follow: directly,
	},
	{
		name:   "policy language and databases only in the CA",
		why:    "the agent is small and keeps nothing on disk; only the CA decides and records",
		except: []string{"ca", "cmd/sshmint-ca"}, to: append(policy[:len(policy):len(policy)], databases...),
	},
	{
		name: "policy is evaluated under ca",
		why:  "what an X.509 name may become is decided in one place",
		from: []string{"cmd"}, to: append(policy[:len(policy):len(policy)], databases...), follow: directly,
	},
	{
		name: "the agent's program holds no CA",
		why:  "sshmint runs on every desktop; it has no use for code that issues",
		from: []string{"cmd/sshmint"}, to: []string{"ca", "cmd/sshmint-ca"},
	},
	{
		name: "the CA's program holds no agent",
		why:  "sshmint-ca listens to a network; it has no use for code that handles a user's keys",
		from: []string{"cmd/sshmint-ca"}, to: []string{"agent", "identity", "pkcs11", "signer", "cmd/sshmint"},
	},
	{
		name: "static programs hold no cgo",
		why:  "one binary runs on every distribution; cgo lives in sshmint-pkcs11 alone",
		from: []string{"cmd"}, except: []string{"cmd/sshmint-pkcs11"}, to: []string{"runtime/cgo"},
	},
	{
		name: "no test support in programs",
		why:  "test PKIs make keys that nobody should trust",
		from: []string{"cmd"}, to: []string{"internal/testpki", "testing"},
	},
}
