package ca

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/ext"
)

const (
	// maxCost is in CEL's units, about one for an operation; a thousand times what a policy needs.
	maxCost = 1_000_000
	maxTime = 100 * time.Millisecond
	// maxExpression is in characters.
	maxExpression = 4096
)

// facts are the values of cert's fields in expressions, by "cert.NAME".
type facts map[string]any

var stringList = cel.ListType(cel.StringType)

// fields are cert's fields. Each is a variable of its own whose name has a dot
// in it, so that the type checker knows them all and finds a misspelt one.
var fields = map[string]*cel.Type{
	"cert.common_names":         stringList,
	"cert.organizational_units": stringList,
	"cert.subject":              cel.StringType,
	"cert.issuer":               cel.StringType,
	"cert.serial":               cel.StringType,
	"cert.emails":               stringList,
	"cert.upns":                 stringList,
	"cert.uris":                 stringList,
	"cert.dns_names":            stringList,
	"cert.fasc_ns":              stringList,
	"cert.eku":                  stringList,
	"cert.policies":             stringList,
	"cert.sid":                  cel.StringType,
	"cert.spki_sha256":          cel.StringType,
	"cert.not_after":            cel.TimestampType,
}

// newFacts leaves out, under name constraints, the names that Go does not hold
// against them: an authority that may speak for one department could write any
// other there.
func newFacts(l *Leaf, v *verified) facts {
	f := facts{
		"cert.common_names":         l.CommonNames,
		"cert.organizational_units": l.OrganizationalUnits,
		"cert.subject":              l.Subject,
		"cert.issuer":               l.Issuer,
		"cert.serial":               l.Serial,
		"cert.emails":               l.Emails,
		"cert.upns":                 l.UPNs,
		"cert.uris":                 l.URIs,
		"cert.dns_names":            l.DNSNames,
		"cert.fasc_ns":              l.FASCNs,
		"cert.eku":                  l.EKU,
		"cert.policies":             v.policies,
		"cert.sid":                  l.SID,
		"cert.spki_sha256":          l.SPKISHA256,
		"cert.not_after":            l.NotAfter,
	}
	if v.constrained {
		for _, name := range []string{"cert.common_names", "cert.organizational_units", "cert.upns", "cert.fasc_ns"} {
			f[name] = []string(nil)
		}
		f["cert.subject"], f["cert.sid"] = "", ""
	}
	if v.issuerConstrained {
		f["cert.issuer"] = ""
	}
	return f
}

func (f facts) list(name string) []string {
	list, _ := f[name].([]string)
	return list
}

// expressions compiles the expressions of a policy.
type expressions struct {
	env    *cel.Env
	tables []string
}

// newExpressions takes the function behind lookup, and the tables that it knows.
func newExpressions(tables []string, lookup func(table string, names []string) ([]string, error)) (*expressions, error) {
	options := []cel.EnvOption{ext.Strings(), cel.ParserExpressionSizeLimit(maxExpression)}
	for name, t := range fields {
		options = append(options, cel.Variable(name, t))
	}
	env, err := cel.NewEnv(append(options, functions(lookup)...)...)
	if err != nil {
		return nil, err
	}
	return &expressions{env, tables}, nil
}

// expression is a compiled one. The zero value is none.
type expression struct {
	program cel.Program
}

func (e expression) absent() bool { return e.program == nil }

// compile wants an expression of the type that the key of ca.toml asks for.
func (x *expressions) compile(text string, want *cel.Type) (expression, error) {
	checked, issues := x.env.Compile(text)
	if issues.Err() != nil {
		return expression{}, compileError(text, issues)
	}
	if !checked.OutputType().IsExactType(want) {
		return expression{}, fmt.Errorf("`%s` is a %s; a %s is wanted", text, checked.OutputType(), want)
	}
	if err := x.checkTables(checked); err != nil {
		return expression{}, fmt.Errorf("`%s`: %w", text, err)
	}
	if err := checkCost(x.env, checked); err != nil {
		return expression{}, fmt.Errorf("`%s`: %w", text, err)
	}
	program, err := x.env.Program(checked, cel.CostLimit(maxCost), cel.InterruptCheckFrequency(100))
	if err != nil {
		return expression{}, fmt.Errorf("`%s`: %w", text, err)
	}
	return expression{program}, nil
}

func compileError(text string, issues *cel.Issues) error {
	first := issues.Errors()[0]
	message := strings.TrimSuffix(first.Message, " (in container '')")
	if strings.Contains(message, "'cert'") {
		names := make([]string, 0, len(fields))
		for name := range fields {
			names = append(names, strings.TrimPrefix(name, "cert."))
		}
		slices.Sort(names)
		message = "no such field of cert; it has " + strings.Join(names, ", ")
	}
	return fmt.Errorf("`%s`, at character %d: %s", text, first.Location.Column()+1, message)
}

// checkTables finds tables that do not exist when the file is loaded, not when
// somebody wants to log in.
func (x *expressions) checkTables(checked *cel.Ast) error {
	root := ast.NavigateAST(checked.NativeRep())
	calls := ast.MatchDescendants(root, ast.FunctionMatcher("lookup"))
	for _, call := range calls {
		arg := call.AsCall().Args()[0]
		name, ok := "", false
		if arg.Kind() == ast.LiteralKind {
			name, ok = arg.AsLiteral().Value().(string)
		}
		if !ok {
			return errors.New("the first argument of lookup must be a table's name in quotes")
		}
		if !slices.Contains(x.tables, name) {
			return fmt.Errorf("there is no [table.%s]", name)
		}
	}
	return nil
}

// eval gives the result as a Go value of type T, which the type checker has
// promised it to be.
func eval[T any](ctx context.Context, e expression, f facts) (T, error) {
	var zero T
	if err := ctx.Err(); err != nil {
		return zero, err
	}
	ctx, cancel := context.WithTimeout(ctx, maxTime)
	defer cancel()
	result, _, err := e.program.ContextEval(ctx, map[string]any(f))
	if err != nil && ctx.Err() != nil {
		return zero, ctx.Err() // which CEL calls an interrupted operation
	}
	if err != nil {
		return zero, err
	}
	if types.IsUnknownOrError(result) {
		return zero, fmt.Errorf("the result is %v", result)
	}
	native, err := result.ConvertToNative(reflect.TypeFor[T]())
	if err != nil {
		return zero, err
	}
	value, ok := native.(T)
	if !ok {
		return zero, fmt.Errorf("the result is a %T", native)
	}
	return value, nil
}
