package publish

import (
	"bytes"
	"io"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// attribute returns a string member of an event, or "".
func attribute(raw jsontext.Value, name string) string {
	var members map[string]jsontext.Value
	if json.Unmarshal(raw, &members, jsontext.AllowDuplicateNames(true)) != nil {
		return ""
	}
	var s string
	if json.Unmarshal(members[name], &s) != nil {
		return ""
	}
	return s
}

// lineOf returns how many lines below the beginning of raw a fault's place is:
// a JSON pointer into the data, or "ce-<attribute>".
func lineOf(raw jsontext.Value, pointer string) int {
	if !bytes.ContainsRune(raw, '\n') {
		return 0
	}
	want := jsontext.Pointer("/data" + pointer)
	if name, ok := strings.CutPrefix(pointer, "ce-"); ok {
		want = jsontext.Pointer("/" + name)
	}
	d := jsontext.NewDecoder(bytes.NewReader(raw), jsontext.AllowDuplicateNames(true))
	found := 0
	for {
		if _, err := d.ReadToken(); err != nil {
			return found
		}
		at := d.StackPointer()
		line := bytes.Count(raw[:d.InputOffset()], []byte("\n"))
		if at == want {
			return line
		}
		if want.Contains(at) || at.Contains(want) {
			found = line // the nearest that is there, for a member that is missing
		}
	}
}

// counter counts lines of what is read through it.
type counter struct {
	r      io.Reader
	line   int   // of the first byte kept
	from   int64 // its offset
	kept   []byte
	failed error
}

// Read implements io.Reader.
func (c *counter) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.kept = append(c.kept, p[:n]...)
	if err != nil && err != io.EOF {
		c.failed = err
	}
	return n, err
}

// lineAt returns the line of an offset that has not been forgotten.
func (c *counter) lineAt(offset int64) int {
	n := min(max(offset-c.from, 0), int64(len(c.kept)))
	return c.line + bytes.Count(c.kept[:n], []byte("\n"))
}

// behind returns what was read from an offset on.
func (c *counter) behind(offset int64) []byte {
	return c.kept[min(max(offset-c.from, 0), int64(len(c.kept))):]
}

// skip returns the offset of what comes next behind blanks and commas.
func (c *counter) skip(offset int64) int64 {
	rest := c.behind(offset)
	return offset + int64(len(rest)-len(bytes.TrimLeft(rest, " \t\r\n,")))
}

// forget drops what is before offset.
func (c *counter) forget(offset int64) {
	c.line = c.lineAt(offset)
	n := min(max(offset-c.from, 0), int64(len(c.kept)))
	c.kept = append(c.kept[:0], c.kept[n:]...)
	c.from += n
}
