package importrules

import (
	"slices"
	"strings"
)

const module = "github.com/sshmint/sshmint"

// A graph maps each package's import path to those that it imports.
type graph map[string][]string

// check gives one line for each package that breaks the rule: the chain of imports by which it does.
func (r rule) check(g graph) []string {
	var broken []string
	for path := range g {
		if !own(path) || len(r.from) > 0 && !under(path, r.from) || under(path, r.except) {
			continue
		}
		if chain := r.chain(g, path); chain != nil {
			broken = append(broken, strings.Join(chain, " -> "))
		}
	}
	slices.Sort(broken)
	return broken
}

// chain is a shortest way from a package to one that the rule forbids, or nil.
func (r rule) chain(g graph, from string) []string {
	seen := map[string]bool{from: true}
	for ways := [][]string{{from}}; len(ways) > 0; ways = ways[1:] {
		way := ways[0]
		for _, imported := range g[way[len(way)-1]] {
			if seen[imported] {
				continue
			}
			seen[imported] = true
			next := append(slices.Clone(way), imported)
			if under(imported, r.to) {
				return next
			}
			if r.follow == everything || r.follow == ownCode && own(imported) {
				ways = append(ways, next)
			}
		}
	}
	return nil
}

func own(path string) bool {
	return path == module || strings.HasPrefix(path, module+"/")
}

// under tells whether path is one of the prefixes or below one. A prefix of this module's is written
// without the module path.
func under(path string, prefixes []string) bool {
	relative := strings.TrimPrefix(path, module+"/")
	return slices.ContainsFunc(prefixes, func(prefix string) bool {
		return relative == prefix || strings.HasPrefix(relative, prefix+"/")
	})
}
