package ca

// Trace is what Explain looked at, for a person who wants to know why.
type Trace struct {
	Trusts []TrustTrace
	Rules  []RuleTrace // from the top, up to the one that decided
}

// TrustTrace is what became of a chain under one trust.
type TrustTrace struct {
	Trust string
	Err   *Refusal // nil: verified
	// Constrained says that an authority of the chain has name constraints; rules then see no CN, OU,
	// subject, UPN, FASC-N and SID.
	Constrained bool
}

// Outcomes of a rule.
const (
	Grants     = "grants"
	Refuses    = "refuses"
	NoMatch    = "does not match"
	NotTrusted = "its trust does not hold"
)

// RuleTrace is what became of one rule.
type RuleTrace struct {
	Rule, Trust string
	Outcome     string
	Err         *Refusal // why it refuses
}

func (t *Trace) add(r *rule, outcome string, err *Refusal) {
	t.Rules = append(t.Rules, RuleTrace{Rule: r.name, Trust: r.trust, Outcome: outcome, Err: err})
}
