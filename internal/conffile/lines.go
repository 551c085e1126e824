package conffile

import (
	"strconv"
	"strings"

	"github.com/pelletier/go-toml/v2/unstable"
)

// Line gives the line, from 1, on which key is set or its table begins; where
// it is absent, that of the nearest table around it; 0 where there is none.
func Line(data []byte, key string) int {
	lines := linesOf(data)
	for key != "" {
		if line, ok := lines[key]; ok {
			return line
		}
		cut := strings.LastIndexByte(key, '.')
		if cut < 0 {
			break
		}
		key = key[:cut]
	}
	return 0
}

// linesOf finds where each key of a well-formed document stands, the first
// place of each.
func linesOf(data []byte) map[string]int {
	var (
		lines  = map[string]int{}
		count  = map[string]int{} // elements so far of each array of tables
		table  string
		parser unstable.Parser
	)
	parser.Reset(data)
	for parser.NextExpression() {
		e := parser.Expression()
		key := ""
		line := 0
		if e.Kind != unstable.KeyValue {
			table = ""
		}
		for it := e.Key(); it.Next(); {
			line = parser.Shape(it.Node().Raw).Start.Line
			key = join(key, string(it.Node().Data))
			// A path through an array of tables means its last element.
			if n := count[join(table, key)]; n > 0 && !(e.Kind == unstable.ArrayTable && it.IsLast()) {
				key = join(key, strconv.Itoa(n-1))
			}
			if e.Kind == unstable.KeyValue && !it.IsLast() {
				note(lines, join(table, key), line)
			}
		}
		full := join(table, key)
		switch e.Kind {
		case unstable.ArrayTable:
			count[full]++
			full = join(full, strconv.Itoa(count[full]-1))
			table = full
		case unstable.Table:
			table = full
		}
		note(lines, full, line)
	}
	return lines
}

func join(table, key string) string {
	if table == "" {
		return key
	}
	if key == "" {
		return table
	}
	return table + "." + key
}

func note(lines map[string]int, key string, line int) {
	if _, ok := lines[key]; !ok && key != "" {
		lines[key] = line
	}
}
