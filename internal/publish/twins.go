package publish

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/countermand/countermand/events"
	"github.com/countermand/countermand/internal/spill"
	"github.com/countermand/countermand/payment"
)

// digest is a SHA-256.
type digest [sha256.Size]byte

// MessageID is what the stream recognises a command by for two minutes: the event's
// source and id. It drops a second message of that id, whatever it contains.
func MessageID(c payment.Command) string { return c.CommandSource + "/" + c.CommandID }

// content is all that a command says. When its event was made, and in which trace, is no
// part of it.
func content(c payment.Command) (digest, error) {
	c.TraceParent, c.TraceState = "", ""
	c.Time = time.Time{}
	m, err := events.NewEncoder(nil).EncodeCommand(c)
	if err != nil {
		return digest{}, err
	}
	return sha256.Sum256(m.Data), nil
}

// Place is where a command stands.
type Place struct {
	File string
	Line int
}

// Twins finds commands of one source and id that say different things. Its memory does
// not grow with their number. It is used by one goroutine; Close it.
type Twins struct {
	sorter *spill.Sorter
	files  []string
}

// NewTwins returns one that knows no command. It puts aside what it does not keep in
// memory in a temporary file.
func NewTwins() (*Twins, error) {
	sorter, err := spill.New("", 0)
	if err != nil {
		return nil, err
	}
	return &Twins{sorter: sorter}, nil
}

// Close frees what was put aside.
func (t *Twins) Close() error { return t.sorter.Close() }

// Add adds a valid command.
func (t *Twins) Add(i Item) error {
	says, err := content(i.Command)
	if err != nil {
		return err
	}
	if len(t.files) == 0 || t.files[len(t.files)-1] != i.File {
		t.files = append(t.files, i.File)
	}
	id := sha256.Sum256([]byte(MessageID(i.Command)))
	value := binary.AppendUvarint(says[:], uint64(len(t.files)-1))
	return t.sorter.Add(string(id[:]), binary.AppendUvarint(value, uint64(i.Line)))
}

// twin is one command as it was put aside.
type twin struct {
	says digest
	at   Place
}

func (t *Twins) read(value []byte) twin {
	var out twin
	rest := value[copy(out.says[:], value):]
	file, n := binary.Uvarint(rest)
	line, _ := binary.Uvarint(rest[n:])
	out.at = Place{t.files[file], int(line)}
	return out
}

// Faults tells each command that says something else than the first of its source and
// id. It returns the places of all that have a twin like that: nobody knows which of
// them was meant.
func (t *Twins) Faults(tell func(Fault) error) (map[Place]bool, error) {
	unclear := map[Place]bool{}
	var key string
	var same []twin // of the key
	var differ bool
	end := func() {
		for _, one := range same {
			if differ {
				unclear[one.at] = true
			}
		}
		same, differ = nil, false
	}
	for r, err := range t.sorter.Sorted() {
		if err != nil {
			return nil, err
		}
		if r.Key != key {
			end()
			key = r.Key
		}
		same = append(same, t.read(r.Value))
		first, last := same[0], same[len(same)-1]
		if first.says == last.says {
			continue
		}
		differ = true
		if err := tell(first.fault(last)); err != nil {
			return nil, err
		}
	}
	end()
	return unclear, nil
}

// fault is that of another command of the same source and id.
func (t twin) fault(other twin) Fault {
	return Fault{
		File: other.at.File, Line: other.at.Line, Pointer: "ce-id", Rule: "duplicate",
		Detail: fmt.Sprintf("%s:%d has the same source and id, and other content", t.at.File, t.at.Line),
	}
}
