package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/goccy/go-yaml/ast"

	"github.com/countermand/countermand/providers"
)

// maxSecret bounds a secret's file, in bytes.
const maxSecret = 64 << 10

// source is where a secret comes from; exactly one of the two is set.
type source struct {
	File string `yaml:"file"`
	Env  string `yaml:"env"`
}

// secret decodes {file: PATH} or {env: NAME}. No message quotes anything of
// the node: whoever pastes a credential here by mistake must not find it in the log.
func (d *decoder) secret(node ast.Node, path string, target *providers.Secret) {
	from, ok := d.source(node)
	switch {
	case !ok:
		d.add(line(node), path, "is a secret: give it as {file: PATH} or {env: NAME}, never itself")
	case from.File != "":
		d.secretFile(line(node), path, from.File, target)
	default:
		value := withoutLineBreak(d.getenv(from.Env))
		if value == "" && d.excused(path, target) {
			return
		}
		if value == "" {
			d.add(line(node), path, "names an environment variable that is not set")
			return
		}
		d.oddEnds(line(node), path, value)
		*target = providers.NewSecret(value)
	}
}

// source reads the node's one entry; false if it is anything else.
func (d *decoder) source(node ast.Node) (source, bool) {
	if _, ok := node.(ast.MapNode); !ok {
		return source{}, false
	}
	var from source
	aside := &decoder{faults: &faults{}, lines: map[string]int{}} // its messages name keys: they are thrown away
	aside.mapping(node, "", reflect.ValueOf(&from).Elem())
	return from, len(aside.faults.list) == 0 && (from.File == "") != (from.Env == "")
}

func (d *decoder) secretFile(line int, path, file string, target *providers.Secret) {
	value, err := readSecret(file)
	switch {
	case errors.Is(err, fs.ErrNotExist) && d.excused(path, target):
	case err != nil:
		d.add(line, path, "names a file that cannot be read: %v", err)
	case value == "":
		d.add(line, path, "names an empty file")
	default:
		d.oddEnds(line, path, value)
		*target = providers.NewSecretFunc((&rotating{file: file, last: value}).read)
		d.expose(path, file)
	}
}

// excused notes a secret that is not there and need not be: a provider's, or a token of
// the console. The setting is given all the same, so that the rules about what belongs
// together hold.
func (d *decoder) excused(path string, target *providers.Secret) bool {
	if !d.notCalling || !strings.HasPrefix(path, "providers[") && !strings.HasPrefix(path, "console.") {
		return false
	}
	*target = providers.NewSecret("")
	d.notGiven = append(d.notGiven, path)
	return true
}

// Exposed is a secret whose file others on the machine may read or change.
type Exposed struct {
	Setting string // for example providers[0].secretKey
	Mode    os.FileMode
	// Folder: not the file has this mode but the folder it lies in, where others may put
	// another file in its place.
	Folder bool
}

// Where says what has which mode, without the file's path: that may be a secret itself.
func (e Exposed) Where() string {
	if e.Folder {
		return fmt.Sprintf("in a folder of mode %04o", e.Mode)
	}
	return fmt.Sprintf("in a file of mode %04o", e.Mode)
}

// Want is the mode that does.
func (e Exposed) Want() string {
	if e.Folder {
		return "a folder that others cannot write to"
	}
	return "0440 or less"
}

// String is the finding.
func (e Exposed) String() string {
	return fmt.Sprintf("%s lies %s: others on this machine can read or change it; wanted: %s", e.Setting, e.Where(), e.Want())
}

const (
	// exposing are the rights that nobody but the owner and those of its group, who may
	// read, needs.
	exposing os.FileMode = 0o027
	// replacing is the right in a folder with which others replace a file in it, unless
	// the folder is sticky, as the folders of mounted secrets are.
	replacing os.FileMode = 0o002
)

// expose notes a secret whose file is open to others. Windows has no such modes.
func (d *decoder) expose(path, file string) {
	if runtime.GOOS == "windows" {
		return
	}
	if info, err := os.Stat(file); err == nil && info.Mode().Perm()&exposing != 0 {
		d.exposed = append(d.exposed, Exposed{Setting: path, Mode: info.Mode().Perm()})
	}
	if info, err := os.Stat(filepath.Dir(file)); err == nil && info.Mode().Perm()&replacing != 0 && info.Mode()&os.ModeSticky == 0 {
		d.exposed = append(d.exposed, Exposed{Setting: path, Mode: info.Mode().Perm(), Folder: true})
	}
}

// readSecret reads a file without its last line break.
func readSecret(file string) (string, error) {
	data, err := readLimited(file, maxSecret)
	if err != nil {
		return "", err
	}
	return withoutLineBreak(string(data)), nil
}

// withoutLineBreak trims one line break at the end, which editors and shells put there. It
// trims nothing else.
func withoutLineBreak(text string) string {
	if text, ended := strings.CutSuffix(text, "\n"); ended {
		return strings.TrimSuffix(text, "\r")
	}
	return text
}

// rotating reads a secret's file anew once it has changed; each use looks. While
// the file is missing or empty, as it may be in the middle of a rotation, the
// last value stands.
type rotating struct {
	file string
	mu   sync.Mutex
	last string
	// seen is the file the last value was read from; nil where it may still change
	// without its times telling, and is read again.
	seen os.FileInfo
}

// settle is by how much a file's time must lie behind before it is trusted: its
// clock may be coarse, and a second change within one tick would go unseen.
const settle = 2 * time.Second

func (r *rotating) read() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	now, err := os.Stat(r.file)
	if err != nil || r.seen != nil && unchanged(now, r.seen) {
		return r.last
	}
	r.seen = nil
	value, err := readSecret(r.file)
	if err != nil || value == "" {
		return r.last
	}
	r.last = value
	if time.Since(now.ModTime()) > settle { // as it was before it was read
		r.seen = now
	}
	return r.last
}

// unchanged compares the size too: a file can be written over with its time kept.
func unchanged(now, seen os.FileInfo) bool {
	return os.SameFile(now, seen) && now.ModTime().Equal(seen.ModTime()) && now.Size() == seen.Size()
}
