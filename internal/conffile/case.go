package conffile

import (
	"errors"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/pelletier/go-toml/v2"
)

// checkCase refuses keys in another case than v's: go-toml takes them, so that
// "match" and "Match" could stand in one table, and the last one would count.
func checkCase(path string, data []byte, v any) error {
	var document map[string]any
	if err := toml.Unmarshal(data, &document); err != nil {
		return &Error{File: path, Text: strings.TrimPrefix(err.Error(), "toml: ")}
	}
	found := otherCase(document, reflect.TypeOf(v), "")
	var errs []error
	for _, key := range slices.Sorted(maps.Keys(found)) {
		errs = append(errs, Errorf(path, data, key, "there is no such key; case counts: %s", found[key]))
	}
	return errors.Join(errs...)
}

// otherCase gives the dotted keys of value whose case is not that of a field of
// t, and the field's key.
func otherCase(value any, t reflect.Type, key string) map[string]string {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	found := map[string]string{}
	visit := func(value any, t reflect.Type, name string) {
		maps.Copy(found, otherCase(value, t, join(key, name)))
	}
	switch value := value.(type) {
	case []any:
		for i, element := range value {
			if t.Kind() == reflect.Slice {
				visit(element, t.Elem(), strconv.Itoa(i))
			}
		}
	case map[string]any:
		for name, element := range value {
			switch t.Kind() {
			case reflect.Map:
				visit(element, t.Elem(), name)
			case reflect.Struct:
				f, right := field(t, name)
				if name != right {
					found[join(key, name)] = right
				} else {
					visit(element, f.Type, name)
				}
			}
		}
	}
	return found
}

// field finds the field of t with a key, in any case, and the key in its own.
func field(t reflect.Type, key string) (f reflect.StructField, own string) {
	for i := range t.NumField() {
		tag, _, _ := strings.Cut(t.Field(i).Tag.Get("toml"), ",")
		if tag == key {
			return t.Field(i), tag
		}
		if strings.EqualFold(tag, key) {
			f, own = t.Field(i), tag
		}
	}
	return f, own
}
