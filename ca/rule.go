package ca

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"

	"cel.dev/cel-go/cel"

	"github.com/sshmint/sshmint/internal/wire"
)

const (
	defaultPattern  = `^[a-z_][a-z0-9_.-]{0,31}$`
	defaultValidity = 8 * time.Hour
	maxRuleName     = 64
)

// rule is one compiled [[rule]].
type rule struct {
	name, trust string
	match       expression // absent: always
	refuse      string     // the sentence; "" where the rule grants

	principals expression
	person     expression
	pattern    *regexp.Regexp
	grant      []string
	validity   time.Duration
	extensions []string
	options    map[string]string
	x509Key    bool
}

// newRule compiles a rule; complain takes what is wrong with a key.
func newRule(c *RuleConfig, x *expressions, complain func(key, format string, args ...any)) *rule {
	r := &rule{name: c.Name, trust: c.Trust, grant: c.Grant, x509Key: c.X509Key, validity: defaultValidity}
	compile := func(key, text string, want *cel.Type) expression {
		if text == "" {
			return expression{}
		}
		e, err := x.compile(text, want)
		if err != nil {
			complain(key, "%s", err)
		}
		return e
	}
	if c.Match != nil {
		if strings.TrimSpace(*c.Match) == "" {
			complain("match", `an empty expression is neither true nor false; leave the key out for a rule that is for all`)
		}
		r.match = compile("match", *c.Match, cel.BoolType)
	}
	if c.Refuse != nil {
		r.refuse = strings.TrimSpace(*c.Refuse)
		if r.refuse == "" {
			complain("refuse", "an empty sentence would tell the person nothing")
		}
		if c.grants() {
			complain("refuse", "a rule that refuses grants nothing; take the other keys out, or this one")
		}
		return r
	}
	r.principals = compile("principals", c.Principals, stringList)
	r.person = compile("person", c.Person, cel.StringType)
	r.checkGrant(c, complain)
	r.checkLimits(c, complain)
	return r
}

// grants tells whether a key is set that only a rule that grants can have.
func (c *RuleConfig) grants() bool {
	return c.Principals != "" || c.Person != "" || c.Pattern != "" || c.Grant != nil || c.Validity != nil ||
		c.Extensions != nil || c.SourceAddress != nil || c.ForceCommand != nil || c.X509Key
}

func (r *rule) checkGrant(c *RuleConfig, complain func(key, format string, args ...any)) {
	if c.Principals == "" && len(c.Grant) == 0 {
		complain("principals", "missing, and no grant either: the rule would give nobody anything")
	}
	for _, g := range c.Grant {
		if err := checkPrincipal(g); err != nil {
			complain("grant", "%q: %s", g, err)
		}
	}
	pattern := c.Pattern
	if pattern == "" {
		pattern = defaultPattern
	}
	// By itself first, so that no ")" of it can end the group.
	_, err := regexp.Compile(pattern)
	if err == nil {
		// As a whole, whether or not the pattern says so: "[a-z]+" alone would let "x;root" in.
		r.pattern, err = regexp.Compile(`\A(?:` + pattern + `)\z`)
	}
	if err != nil {
		complain("pattern", "%q: %s", pattern, err)
	}
}

func (r *rule) checkLimits(c *RuleConfig, complain func(key, format string, args ...any)) {
	if c.Validity != nil {
		r.validity = time.Duration(*c.Validity)
		if r.validity < time.Second || r.validity > wire.MaxValidity {
			complain("validity", "%s is not between 1 s and %s", r.validity, wire.MaxValidity)
		}
	}
	r.extensions = []string{"permit-pty"}
	if c.Extensions != nil {
		r.extensions = slices.Compact(slices.Sorted(slices.Values(c.Extensions)))
	}
	for _, e := range r.extensions {
		if err := checkExtension(e); err != nil {
			complain("extensions", "%q: %s", e, err)
		}
	}
	r.options = make(map[string]string)
	if c.SourceAddress != nil {
		list, err := sourceAddress(c.SourceAddress)
		if err != nil {
			complain("source_address", "%s", err)
		}
		r.options["source-address"] = list
	}
	if c.ForceCommand != nil {
		if err := checkCommand(*c.ForceCommand); err != nil {
			complain("force_command", "%s", err)
		}
		r.options["force-command"] = *c.ForceCommand
	}
}

// knownExtensions are those of OpenSSH's PROTOCOL.certkeys that mean something
// for a key that is not on a FIDO token.
var knownExtensions = []string{
	"permit-X11-forwarding", "permit-agent-forwarding", "permit-port-forwarding", "permit-pty", "permit-user-rc",
}

var ownExtension = regexp.MustCompile(`^[!-+\--?A-~]+@[!-+\--?A-~]+$`) // printable, one "@", no comma

func checkExtension(s string) error {
	if slices.Contains(knownExtensions, s) || len(s) <= 64 && ownExtension.MatchString(s) {
		return nil
	}
	return fmt.Errorf("sshd knows no such extension; it knows %s, and names with an @ are yours to give",
		strings.Join(knownExtensions, ", "))
}

func sourceAddress(list []string) (string, error) {
	if len(list) == 0 {
		return "", errors.New("an empty list is no restriction; leave the key out if none is meant")
	}
	for _, s := range list {
		if _, err := netip.ParseAddr(s); err == nil && !strings.Contains(s, "%") {
			continue
		}
		p, err := netip.ParsePrefix(s)
		if err != nil {
			return "", fmt.Errorf("%q is neither an address nor a network such as 192.0.2.0/24", s)
		}
		if p != p.Masked() {
			return "", fmt.Errorf("%q: sshd refuses a network with host bits set; %s is meant", s, p.Masked()) // addrmatch.c
		}
	}
	return strings.Join(list, ","), nil
}

func checkCommand(s string) error {
	switch {
	case strings.TrimSpace(s) == "":
		return errors.New("an empty command restricts nothing on some servers; leave the key out if none is meant")
	case strings.ContainsFunc(s, unicode.IsControl):
		return errors.New("it holds a control character")
	}
	return nil
}

// matches tells whether the rule is meant for a leaf.
func (r *rule) matches(ctx context.Context, f facts) (bool, error) {
	if r.match.absent() {
		return true, nil
	}
	return eval[bool](ctx, r.match, f)
}
