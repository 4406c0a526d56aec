package witness

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"github.com/countermand/countermand/integrity"
	"github.com/countermand/countermand/integrity/keeper"
)

// File keeps the record in a file. It is safe for concurrent use within one
// process and for one process only. The file is replaced whole, so a process
// that dies leaves the old one or the new one.
type File struct {
	path string
	mu   sync.Mutex
}

var _ keeper.Store = (*File)(nil)

// NewFile returns the witness in a file. It does no I/O.
func NewFile(path string) *File { return &File{path: path} }

// Load implements keeper.Store. A file that does not exist was never written:
// its folder must exist.
func (f *File) Load(context.Context) (integrity.Record, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.load()
}

func (f *File) load() (integrity.Record, error) {
	raw, err := os.ReadFile(f.path)
	if errors.Is(err, fs.ErrNotExist) {
		if _, err := os.Stat(filepath.Dir(f.path)); err != nil {
			return integrity.Record{}, fmt.Errorf("read witness: %w", err)
		}
		return integrity.Record{}, nil
	}
	if err != nil {
		return integrity.Record{}, fmt.Errorf("read witness: %w", err)
	}
	var r integrity.Record
	if err := json.Unmarshal(raw, &r); err != nil {
		return integrity.Record{}, fmt.Errorf("read witness: the file %s holds no mark (%w): put the right file there, or remove it and accept that the witness is lost", f.path, err)
	}
	return r, nil
}

// Raise implements keeper.Store.
func (f *File) Raise(_ context.Context, want integrity.Record) (integrity.Record, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	stored, err := f.load()
	if err != nil {
		return integrity.Record{}, err
	}
	if stored.Covers(want) {
		return stored, nil
	}
	merged := stored.Merge(want)
	raw, err := json.Marshal(merged)
	if err != nil {
		return integrity.Record{}, fmt.Errorf("encode witness: %w", err)
	}
	if err := replace(f.path, raw); err != nil {
		return integrity.Record{}, fmt.Errorf("write witness: the file %s: %w", f.path, err)
	}
	return merged, nil
}

// Probe writes what the file holds beside it and removes that again, to see whether the
// file could be written. It may run beside the process whose file it is.
func (f *File) Probe(context.Context) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	stored, err := f.load()
	if err != nil {
		return err
	}
	raw, err := json.Marshal(stored)
	if err != nil {
		return fmt.Errorf("encode witness: %w", err)
	}
	name, err := beside(f.path, raw)
	if err == nil {
		err = os.Remove(name)
	}
	if err != nil {
		return fmt.Errorf("write witness: the file %s: %w", f.path, named(err))
	}
	return nil
}

// replace writes a file beside the one at path, makes it durable and puts it in
// its place.
func replace(path string, raw []byte) error {
	name, err := beside(path, raw)
	if err != nil {
		return named(err)
	}
	if err := os.Rename(name, path); err != nil {
		return named(errors.Join(err, os.Remove(name)))
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// beside writes a file beside the one at path, makes it durable and returns its name.
// None is left where it fails.
func beside(path string, raw []byte) (name string, err error) {
	temp, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*")
	if err != nil {
		return "", err
	}
	_, err = temp.Write(raw)
	if err = cmp.Or(err, temp.Sync()); err != nil {
		_ = temp.Close()
		_ = os.Remove(temp.Name())
		return "", err
	}
	return temp.Name(), temp.Close()
}

// named leaves the random name of the file beside out of an error, so that the same
// failure always reads the same.
func named(err error) error {
	if at, is := errors.AsType[*fs.PathError](err); is {
		return fmt.Errorf("%s: %w", at.Op, at.Err)
	}
	if at, is := errors.AsType[*os.LinkError](err); is {
		return fmt.Errorf("%s: %w", at.Op, at.Err)
	}
	return err
}
