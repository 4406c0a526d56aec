package contract_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// update rewrites the generated documents from the tables in this package's
// tests: go test ./proof/contract -run Generated -update.
var update = flag.Bool("update", false, "rewrite the generated documents")

// member is one name and value of an object whose order is kept.
type member struct {
	name  string
	value any
}

// object is a JSON object in the order it is written down, so that the
// generated documents read as a person would write them.
type object []member

// obj builds an object from names and values in turn.
func obj(pairs ...any) object {
	out := make(object, 0, len(pairs)/2)
	for i := 0; i+1 < len(pairs); i += 2 {
		out = append(out, member{pairs[i].(string), pairs[i+1]})
	}
	return out
}

// with returns the object and further members behind it.
func (o object) with(more object) object {
	return append(append(object(nil), o...), more...)
}

func (o object) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	b.WriteByte('{')
	for i, m := range o {
		if i > 0 {
			b.WriteByte(',')
		}
		name, err := encode(m.name)
		if err != nil {
			return nil, err
		}
		value, err := encode(m.value)
		if err != nil {
			return nil, fmt.Errorf("encode %s: %w", m.name, err)
		}
		b.Write(name)
		b.WriteByte(':')
		b.Write(value)
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

// encode is json.Marshal without the escaping meant for HTML.
func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimRight(b.Bytes(), "\n"), nil
}

// pretty renders a document as it is checked in.
func pretty(t *testing.T, v any) []byte {
	t.Helper()
	flat, err := encode(v)
	if err != nil {
		t.Fatalf("encode document: %v", err)
	}
	var b bytes.Buffer
	if err := json.Indent(&b, flat, "", "  "); err != nil {
		t.Fatalf("indent document: %v", err)
	}
	b.WriteByte('\n')
	return compactLists(b.Bytes())
}

// compactLists joins lists of plain strings and numbers into one line each:
// json.Indent would give every currency a line of its own.
func compactLists(in []byte) []byte {
	var out bytes.Buffer
	lines := bytes.Split(in, []byte("\n"))
	for i := 0; i < len(lines); i++ {
		end := plainListEnd(lines, i)
		if end < 0 {
			out.Write(lines[i])
			if i < len(lines)-1 {
				out.WriteByte('\n')
			}
			continue
		}
		out.Write(lines[i])
		for j := i + 1; j < end; j++ {
			if j > i+1 {
				out.WriteByte(' ')
			}
			out.Write(bytes.TrimSpace(lines[j]))
		}
		out.Write(bytes.TrimSpace(lines[end]))
		out.WriteByte('\n')
		i = end
	}
	return out.Bytes()
}

// plainListEnd returns the line that closes the list opened on line i, or −1
// where that line opens no list or the list holds objects or lists.
func plainListEnd(lines [][]byte, i int) int {
	if !bytes.HasSuffix(lines[i], []byte("[")) {
		return -1
	}
	for j := i + 1; j < len(lines); j++ {
		l := bytes.TrimSpace(lines[j])
		switch {
		case bytes.HasPrefix(l, []byte("]")):
			return j
		case bytes.HasSuffix(l, []byte("{")), bytes.HasSuffix(l, []byte("[")):
			return -1
		}
	}
	return -1
}

func TestGeneratedDocumentsAreCurrent(t *testing.T) {
	t.Parallel()
	want := documents()
	for _, d := range want {
		content := pretty(t, d.value)
		if *update {
			if err := os.WriteFile(inSchemas(d.name), content, 0o644); err != nil {
				t.Fatalf("write %s: %v", d.name, err)
			}
			continue
		}
		got, err := os.ReadFile(inSchemas(d.name))
		if err != nil {
			t.Errorf("read %s: %v", d.name, err)
			continue
		}
		if diff := cmp.Diff(string(content), string(got)); diff != "" {
			t.Errorf("%s is not what the tables say; run go test ./proof/contract -run Generated -update (-want +got):\n%s", d.name, diff)
		}
	}
	checked, err := filepath.Glob(inSchemas("v1/*.json"))
	if err != nil {
		t.Fatal(err)
	}
	if len(checked) == 0 {
		t.Error("no schema is in the tree")
	}
	for _, file := range checked {
		if name := "v1/" + filepath.Base(file); !want.has(name) {
			t.Errorf("%s is in the tree but in no table", name)
		}
	}
}

// inSchemas is a document's place in the tree, seen from this package's folder.
func inSchemas(name string) string {
	return filepath.Join("..", "..", "schemas", filepath.FromSlash(name))
}
