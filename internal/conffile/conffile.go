// Package conffile decodes TOML configuration strictly: every key that is not
// known or has the wrong type is refused, with file, line and key in the error.
// A typo in a security setting must not pass as its default.
package conffile

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/pelletier/go-toml/v2"
)

// Error is what is wrong at one place of a file.
type Error struct {
	File string
	Line int    // from 1; 0 where the whole file is meant
	Key  string // dotted; "" where it is not about a key
	Text string
}

func (e *Error) Error() string {
	where := e.File
	if e.Line > 0 {
		where = fmt.Sprintf("%s:%d", where, e.Line)
	}
	if e.Key != "" {
		return fmt.Sprintf("%s: %s: %s", where, e.Key, e.Text)
	}
	return where + ": " + e.Text
}

// Errorf says what is wrong with the value at key: dotted, an element of an
// array of tables by its place from 0 ("rule.0.match"). The line is that of the
// key, or of the nearest table around it.
func Errorf(path string, data []byte, key, format string, args ...any) error {
	return &Error{path, Line(data, key), key, fmt.Sprintf(format, args...)}
}

// Decode decodes a file's text into v, whose fields carry toml tags; path is only
// named in errors. known lists keys, dotted, a table's own name being "*", that
// exist but that this build does not enforce, with what to say of them.
func Decode(path string, data []byte, v any, known map[string]string) error {
	err := toml.NewDecoder(bytes.NewReader(data)).DisallowUnknownFields().Decode(v)
	var missing *toml.StrictMissingError
	if errors.As(err, &missing) {
		var all []error
		for i := range missing.Errors {
			all = append(all, unknownKey(path, &missing.Errors[i], known))
		}
		return errors.Join(all...)
	}
	var decode *toml.DecodeError
	if errors.As(err, &decode) {
		line, _ := decode.Position()
		return &Error{path, line, strings.Join(decode.Key(), "."), strings.TrimPrefix(decode.Error(), "toml: ")}
	}
	if err != nil {
		return &Error{File: path, Text: strings.TrimPrefix(err.Error(), "toml: ")}
	}
	return checkCase(path, data, v)
}

func unknownKey(path string, e *toml.DecodeError, known map[string]string) error {
	line, _ := e.Position()
	key := e.Key()
	for pattern, text := range known {
		if matches(strings.Split(pattern, "."), key) {
			return &Error{path, line, strings.Join(key, "."), text}
		}
	}
	return &Error{path, line, strings.Join(key, "."), "there is no such key"}
}

func matches(pattern, key []string) bool {
	if len(pattern) > len(key) {
		return false
	}
	for i := range pattern {
		if pattern[i] != "*" && pattern[i] != key[i] {
			return false
		}
	}
	return true
}

// Duration is a time.Duration in Go's syntax ("8h", "90s"); never negative.
type Duration time.Duration

// UnmarshalText reads Go's syntax.
func (d *Duration) UnmarshalText(b []byte) error {
	v, err := time.ParseDuration(string(b))
	if err != nil {
		return fmt.Errorf(`%q is no duration such as "8h" or "90s"`, b)
	}
	if v < 0 {
		return fmt.Errorf("%q is negative", b)
	}
	*d = Duration(v)
	return nil
}
