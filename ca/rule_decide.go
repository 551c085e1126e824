package ca

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/sshmint/sshmint/internal/wire"
)

// decide is what the rule makes of a leaf that it matches.
func (r *rule) decide(ctx context.Context, leaf *Leaf, v *verified, f facts, no reserved) (*Grant, *Refusal) {
	if r.refuse != "" {
		return nil, &Refusal{Code: wire.RefusedByRule, Detail: r.refuse}
	}
	principals, refusal := r.allPrincipals(ctx, f, no)
	if refusal != nil {
		return nil, refusal
	}
	person, err := r.whom(ctx, f)
	if err != nil {
		if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
			return nil, r.failed("person", err)
		}
		return nil, &Refusal{Code: wire.RefusedByRule, Detail: fmt.Sprintf("rule %q cannot tell whose certificate this is", r.name), Err: err}
	}
	return &Grant{
		Rule: r.name, Trust: r.trust,
		Person:          person,
		Principals:      principals,
		Validity:        r.validity,
		NotAfter:        v.notAfter,
		Extensions:      slices.Clone(r.extensions),
		CriticalOptions: maps.Clone(r.options),
		X509Key:         r.x509Key,
		Leaf:            leaf,
		Chain:           v.chain,
	}, nil
}

// allPrincipals refuses the whole list for one bad name: a name that was left
// out could be the one that the person, or an attacker, counts on.
func (r *rule) allPrincipals(ctx context.Context, f facts, no reserved) ([]string, *Refusal) {
	var computed []string
	if !r.principals.absent() {
		var err error
		if computed, err = eval[[]string](ctx, r.principals, f); err != nil {
			return nil, r.failed("principals", err)
		}
	}
	refused := func(format string, args ...any) ([]string, *Refusal) {
		return nil, &Refusal{Code: wire.PrincipalRefused, Detail: fmt.Sprintf("rule %q ", r.name) + fmt.Sprintf(format, args...)}
	}
	for _, p := range computed {
		if err := checkPrincipal(p); err != nil {
			return refused("gives you the principal %s, which is not allowed: %s", quoted(p), err)
		}
		if !r.pattern.MatchString(p) {
			return refused("gives you the principal %s, which does not match the rule's pattern", quoted(p))
		}
		if no.has(p) {
			return refused("gives you the principal %s, which is reserved for a system account", quoted(p))
		}
	}
	var all []string
	for _, p := range slices.Concat(computed, r.grant) {
		if !slices.Contains(all, p) {
			all = append(all, p)
		}
	}
	if len(all) == 0 {
		return refused("finds no principal for you in your certificate")
	}
	return all, nil
}

// whom names the person. A certificate that names two is nobody's.
func (r *rule) whom(ctx context.Context, f facts) (string, error) {
	if !r.person.absent() {
		s, err := eval[string](ctx, r.person, f)
		if err != nil {
			return "", fmt.Errorf("person: %w", err)
		}
		return escapePerson(s)
	}
	for _, field := range []string{"cert.upns", "cert.emails", "cert.common_names"} {
		switch names := f.list(field); len(names) {
		case 0:
		case 1:
			return escapePerson(names[0])
		default:
			return "", fmt.Errorf("%d values in %s; the rule needs a person", len(names), field)
		}
	}
	return "", errors.New("neither UPN, e-mail address nor common name that can be relied on; the rule needs a person")
}

// failed refuses where an expression has an error. What it is could help
// somebody who probes, and goes to the log alone. Time that ran out may be that of
// a busy machine and not of the rule, so that another try, or another CA, may do.
func (r *rule) failed(key string, err error) *Refusal {
	refusal := &Refusal{
		Code:   wire.RefusedByRule,
		Detail: fmt.Sprintf("rule %q could not be evaluated for your certificate; the CA's log says why", r.name),
		Err:    fmt.Errorf("%s: %w", key, err),
	}
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		refusal.Code = wire.Unavailable
		refusal.Detail = fmt.Sprintf("the CA had no time to evaluate rule %q for your certificate; try again", r.name)
	}
	return refusal
}

func quoted(s string) string {
	if len(s) > 64 {
		return fmt.Sprintf("%+q...", s[:64])
	}
	return fmt.Sprintf("%+q", s)
}
