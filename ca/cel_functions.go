package ca

import (
	"errors"
	"fmt"
	"math"
	"reflect"
	"strings"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/cost"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"

	"github.com/sshmint/sshmint/internal/altname"
	"github.com/sshmint/sshmint/internal/wire"
)

// functions are those that expressions have besides CEL's own and its strings
// extension.
func functions(lookup func(table string, names []string) ([]string, error)) []cel.EnvOption {
	return []cel.EnvOption{
		cel.Function("one", cel.Overload("one_list", []*cel.Type{stringList}, cel.StringType,
			cel.UnaryBinding(func(list ref.Val) ref.Val {
				return call(func() (any, error) {
					names, err := native[[]string](list)
					if err != nil {
						return nil, err
					}
					return one(names)
				})
			}))),
		cel.Function("local", cel.Overload("local_list_string", []*cel.Type{stringList, cel.StringType}, stringList,
			cel.BinaryBinding(func(list, domain ref.Val) ref.Val {
				return call(func() (any, error) {
					addresses, err := native[[]string](list)
					if err != nil {
						return nil, err
					}
					d, err := native[string](domain)
					if err != nil {
						return nil, err
					}
					return local(addresses, d), nil
				})
			}))),
		cel.Function("lookup", cel.Overload("lookup_string_list", []*cel.Type{cel.StringType, stringList}, stringList,
			cel.BinaryBinding(func(table, list ref.Val) ref.Val {
				return call(func() (any, error) {
					t, err := native[string](table)
					if err != nil {
						return nil, err
					}
					names, err := native[[]string](list)
					if err != nil {
						return nil, err
					}
					return lookup(t, names)
				})
			}))),
	}
}

func call(f func() (any, error)) ref.Val {
	v, err := f()
	if err != nil {
		return types.WrapErr(err)
	}
	return types.DefaultTypeAdapter.NativeToValue(v)
}

func native[T any](v ref.Val) (T, error) {
	var zero T
	n, err := v.ConvertToNative(reflect.TypeFor[T]())
	if err != nil {
		return zero, err
	}
	t, ok := n.(T)
	if !ok {
		return zero, fmt.Errorf("a %T where a %T belongs", n, zero)
	}
	return t, nil
}

// one is the only element.
func one(list []string) (string, error) {
	if len(list) != 1 {
		return "", fmt.Errorf("one() of a list of %d", len(list))
	}
	return list[0], nil
}

// local gives the lower-case local parts of the addresses that are in domain.
// An address with more than one "@" is in none: readers differ in where they
// cut it. Only ASCII letters are folded, since others fold into ASCII, as the
// Kelvin sign does into "k".
func local(addresses []string, domain string) []string {
	var parts []string
	for _, a := range addresses {
		name, d, found := strings.Cut(a, "@")
		if found && lowerASCII(d) == lowerASCII(domain) && !strings.Contains(d, "@") {
			parts = append(parts, lowerASCII(name))
		}
	}
	return parts
}

func lowerASCII(s string) string {
	return strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' {
			return r + 'a' - 'A'
		}
		return r
	}, s)
}

// checkCost refuses an expression that the largest certificate could drive
// beyond the limit.
func checkCost(env *cel.Env, checked *cel.Ast) error {
	estimate, err := env.EstimateCost(checked, sizes{})
	if err != nil {
		return err
	}
	if estimate.Max > maxCost {
		if estimate.Max == math.MaxUint64 {
			return errors.New("it has no bound on its cost")
		}
		return fmt.Errorf("it may cost %d, more than %d", estimate.Max, maxCost)
	}
	return nil
}

// sizes says how large cert's fields and the functions' results may be.
type sizes struct{}

// The estimator writes into the sizes that it is given, so that each is its own.
func someNames() *cost.SizeEstimate { return &cost.SizeEstimate{Max: wire.MaxNames} }
func someText() *cost.SizeEstimate  { return &cost.SizeEstimate{Max: altname.MaxName} }

func (sizes) EstimateSize(node cost.AstNode) *cost.SizeEstimate {
	path := node.Path()
	switch {
	case len(path) == 1 && fields[path[0]] == stringList:
		return someNames()
	case len(path) > 0:
		return someText()
	}
	return nil
}

func (sizes) EstimateCallCost(function, _ string, _ *cost.AstNode, _ []cost.AstNode) *cost.CallEstimate {
	switch function {
	case "one":
		return cost.NewCallEstimate(cost.Estimate{Max: wire.MaxNames}, someText())
	case "local", "lookup":
		return cost.NewCallEstimate(cost.Estimate{Max: wire.MaxNames * altname.MaxName / 10}, someNames())
	}
	return nil
}
