package config

import (
	"fmt"
	"maps"
	"math"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"

	"github.com/countermand/countermand/internal/spelling"
	"github.com/countermand/countermand/providers"
	"github.com/countermand/countermand/providers/kinds"
)

// decoder lays the file's tree over structs. Unlike a decoder that stops at the
// first fault it goes on, and it remembers the line of each key for the rules
// that are checked afterwards.
type decoder struct {
	*faults
	getenv func(string) string
	lines  map[string]int // by key path
	// lenient lets unknown keys pass: the kind that may know them is not known.
	lenient bool
	// exposed are the secrets whose files others may read or write.
	exposed []Exposed
	// quoted are the settings whose secrets stand in quotes.
	quoted []string
	// notCalling lets the secrets be missing that only the service itself uses.
	notCalling bool
	// notGiven are the settings of those that are.
	notGiven []string
}

// mapping decodes a mapping into the structs; a key belongs to every target that
// has it and to at least one. Absent keys and nulls leave what is there.
func (d *decoder) mapping(node ast.Node, path string, targets ...reflect.Value) {
	if absent(node) {
		return
	}
	entries, ok := node.(ast.MapNode)
	if !ok {
		d.add(line(node), path, "must be a mapping")
		return
	}
	fields := fieldsOf(targets)
	seen := map[string]bool{}
	for it := entries.MapRange(); it.Next(); {
		name := it.Key().GetToken().Value
		at := join(path, name)
		switch {
		case it.Key().Type() == ast.MergeKeyType:
			d.add(line(it.Key()), join(path, "<<"), "anchors, aliases, merge keys and tags are not accepted")
		case len(fields[name]) == 0 && d.lenient:
		case len(fields[name]) == 0:
			d.unknown(it.Key(), path, fields)
		case seen[name]:
			d.add(line(it.Key()), at, "stands here a second time")
		default:
			seen[name] = true
			d.lines[at] = line(it.Key())
			for _, field := range fields[name] {
				d.value(it.Value(), at, field)
			}
		}
	}
}

// unknown adds the fault of a key that no target has.
func (d *decoder) unknown(key ast.Node, path string, fields map[string][]reflect.Value) {
	name := printable(key.GetToken().Value)
	if near := spelling.Nearest(name, slices.Sorted(maps.Keys(fields))); near != "" {
		d.add(line(key), join(path, name), "is unknown; did you mean %s?", near)
		return
	}
	d.add(line(key), join(path, name), "is unknown")
}

// value decodes one value into a field.
func (d *decoder) value(node ast.Node, path string, field reflect.Value) {
	switch node.(type) {
	case *ast.AnchorNode, *ast.AliasNode, *ast.TagNode:
		d.add(line(node), path, "anchors, aliases, merge keys and tags are not accepted")
		return
	}
	if absent(node) {
		return
	}
	switch target := field.Addr().Interface().(type) {
	case *providers.Secret:
		d.secret(node, path, target)
		return
	case *Proxy:
		d.proxy(node, path, target)
		return
	case *time.Duration:
		d.duration(node, path, target)
		return
	case *[]Provider:
		d.providers(node, path, target)
		return
	}
	switch field.Kind() {
	case reflect.Struct:
		d.mapping(node, path, field)
	case reflect.Slice:
		d.list(node, path, field)
	default:
		d.scalar(node, path, field)
	}
}

// list decodes a sequence of values of one type.
func (d *decoder) list(node ast.Node, path string, field reflect.Value) {
	sequence, ok := node.(*ast.SequenceNode)
	if !ok {
		d.add(line(node), path, "must be a list")
		return
	}
	items := reflect.MakeSlice(field.Type(), len(sequence.Values), len(sequence.Values))
	for i, item := range sequence.Values {
		at := fmt.Sprintf("%s[%d]", path, i)
		d.lines[at] = line(item)
		d.value(item, at, items.Index(i))
	}
	field.Set(items)
}

// providers decodes the instances: the common keys and those of the kind stand
// side by side in one mapping.
func (d *decoder) providers(node ast.Node, path string, target *[]Provider) {
	sequence, ok := node.(*ast.SequenceNode)
	if !ok {
		d.add(line(node), path, "must be a list")
		return
	}
	for i, item := range sequence.Values {
		at := fmt.Sprintf("%s[%d]", path, i)
		d.lines[at] = line(item)
		*target = append(*target, d.provider(item, at))
	}
}

// provider decodes one instance. Where its kind is not known, the common keys
// are checked all the same.
func (d *decoder) provider(node ast.Node, path string) Provider {
	p := DefaultProvider()
	if absent(node) {
		d.add(line(node), path, "must be a mapping")
		return p
	}
	common := reflect.ValueOf(&p).Elem()
	kind, found := textAt(node, "kind")
	if k, known := kinds.Find(kind); known {
		p.Settings = k.NewSettings()
		d.mapping(node, path, common, reflect.ValueOf(p.Settings).Elem())
		return p
	}
	if found == nil {
		found = node
	}
	d.add(line(found), join(path, "kind"), "must be given, as one of %s", kinds.Names())
	d.lenient = true
	d.mapping(node, path, common)
	d.lenient = false
	return p
}

// duration decodes a Go duration such as 1m30s.
func (d *decoder) duration(node ast.Node, path string, target *time.Duration) {
	if text, ok := node.(*ast.StringNode); ok {
		if v, err := time.ParseDuration(text.Value); err == nil {
			*target = v
			return
		}
	}
	d.add(line(node), path, "must be a duration with its unit, such as 10s or 1h30m")
}

// scalar decodes text, whole numbers, numbers and booleans, each only from its
// own kind of node: 010 is no text, "1" is no number.
func (d *decoder) scalar(node ast.Node, path string, field reflect.Value) {
	switch field.Kind() {
	case reflect.String:
		d.text(node, path, field)
	case reflect.Bool:
		if b, ok := node.(*ast.BoolNode); ok {
			field.SetBool(b.Value)
			return
		}
		d.add(line(node), path, "must be true or false")
	case reflect.Int, reflect.Int64:
		if n, ok := wholeNumber(node); ok {
			field.SetInt(n)
			return
		}
		d.add(line(node), path, "must be a whole number")
	case reflect.Float64:
		if n, ok := number(node); ok {
			field.SetFloat(n)
			return
		}
		d.add(line(node), path, "must be a number")
	default: // a settings struct with a field this decoder was not taught
		d.add(line(node), path, "has a type that cannot be configured: %s", field.Type())
	}
}

// text decodes a string; where the key says that it is a URL, it must be one
// that is safe to send credentials to.
func (d *decoder) text(node ast.Node, path string, field reflect.Value) {
	value, ok := stringOf(node)
	if !ok {
		d.add(line(node), path, "must be text: put it in quotes")
		return
	}
	if strings.HasSuffix(path, "URL") {
		if rule := urlRule(value); rule != "" {
			d.add(line(node), path, "%s", rule) // and set: what goes with it is not missing
		}
	}
	field.SetString(value)
}

// fieldsOf returns the targets' fields by their yaml name.
func fieldsOf(targets []reflect.Value) map[string][]reflect.Value {
	fields := map[string][]reflect.Value{}
	for _, target := range targets {
		for i := range target.NumField() {
			name, _, _ := strings.Cut(target.Type().Field(i).Tag.Get("yaml"), ",")
			if name != "" && name != "-" {
				fields[name] = append(fields[name], target.Field(i))
			}
		}
	}
	return fields
}

// textAt returns the string under a key of a mapping, and the value's node.
func textAt(node ast.Node, name string) (string, ast.Node) {
	entries, ok := node.(ast.MapNode)
	if !ok {
		return "", nil
	}
	for it := entries.MapRange(); it.Next(); {
		if it.Key().GetToken().Value == name && !absent(it.Value()) {
			text, _ := stringOf(it.Value())
			return text, it.Value()
		}
	}
	return "", nil
}

func stringOf(node ast.Node) (string, bool) {
	switch n := node.(type) {
	case *ast.StringNode:
		return n.Value, true
	case *ast.LiteralNode:
		return n.Value.Value, true
	default:
		return "", false
	}
}

func wholeNumber(node ast.Node) (int64, bool) {
	n, ok := node.(*ast.IntegerNode)
	if !ok {
		return 0, false
	}
	switch v := n.Value.(type) {
	case int64:
		return v, true
	case uint64:
		return int64(v), v <= math.MaxInt64
	default:
		return 0, false
	}
}

func number(node ast.Node) (float64, bool) {
	if n, ok := node.(*ast.FloatNode); ok {
		return n.Value, true
	}
	n, ok := wholeNumber(node)
	return float64(n), ok
}

// absent reports a value that says nothing.
func absent(node ast.Node) bool {
	if node == nil {
		return true
	}
	switch node.Type() {
	case ast.NullType, ast.CommentType:
		return true
	default:
		return false
	}
}

func line(node ast.Node) int {
	if node == nil || node.GetToken() == nil || node.GetToken().Position == nil {
		return 0
	}
	return node.GetToken().Position.Line
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}
