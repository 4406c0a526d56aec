package config

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"reflect"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"

	"github.com/countermand/countermand/internal/bom"
)

// maxFile bounds the configuration file, in bytes.
const maxFile = 1 << 20

// Load reads the file at path over the defaults. The error is a *FaultsError
// that lists everything wrong, or says why the file itself cannot be read. Paths
// inside the file are relative to the working directory.
func Load(path string, getenv func(string) string) (*Config, error) {
	return load(path, getenv, false)
}

// LoadNotCalling is Load for a command that calls no provider and serves no console.
// Such a command runs without their secrets: a file or a variable of theirs that is not
// there is no fault, and Config.NotGiven names its setting. Everything else must be right.
func LoadNotCalling(path string, getenv func(string) string) (*Config, error) {
	return load(path, getenv, true)
}

func load(path string, getenv func(string) string, notCalling bool) (*Config, error) {
	data, err := readLimited(path, maxFile)
	if err == nil {
		data, err = bom.Trim(data)
	}
	if err != nil {
		return nil, fmt.Errorf("read configuration %s: %w", path, err)
	}
	f := &faults{file: path}
	root := parse(data, f)
	if err := f.err(); err != nil {
		return nil, err
	}
	d := &decoder{faults: f, getenv: getenv, lines: map[string]int{"": 1}, notCalling: notCalling}
	cfg := Defaults()
	cfg.environment = environmentOf(getenv)
	d.mapping(root, "", reflect.ValueOf(cfg).Elem())
	d.verify(cfg)
	if err := f.err(); err != nil {
		return nil, err
	}
	cfg.Exposed, cfg.Quoted, cfg.NotGiven = d.exposed, d.quoted, d.notGiven
	return cfg, nil
}

// parse returns the file's one document; nil for an empty file.
func parse(data []byte, f *faults) ast.Node {
	file, err := parser.ParseBytes(data, 0, parser.AllowDuplicateMapKey()) // repeated keys are refused with the other faults
	var syntax *yaml.SyntaxError
	switch {
	case errors.As(err, &syntax) && syntax.Token != nil && syntax.Token.Position != nil:
		f.add(syntax.Token.Position.Line, "", "is not YAML: %s", harmless(syntax.Message))
		return nil
	case err != nil:
		f.add(0, "", "is not YAML")
		return nil
	case len(file.Docs) > 1:
		f.add(file.Docs[1].GetToken().Position.Line, "", "must hold one document")
		return nil
	case len(file.Docs) == 0:
		return nil
	default:
		return file.Docs[0].Body
	}
}

// harmless cuts a parser's message before it quotes the file.
func harmless(message string) string {
	if i := strings.IndexAny(message, "\"'`:\n["); i >= 0 {
		message = message[:i]
	}
	return strings.TrimSpace(message)
}

// readLimited reads a file of at most limit bytes. Its error does not name the
// file: the path of a secret may be a secret put in the wrong place.
func readLimited(path string, limit int64) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, withoutPath(err)
	}
	defer file.Close()
	data, err := io.ReadAll(io.LimitReader(file, limit+1))
	if err != nil {
		return nil, withoutPath(err)
	}
	if int64(len(data)) > limit {
		return nil, fmt.Errorf("it is larger than %d bytes", limit)
	}
	return data, nil
}

// withoutPath keeps what went wrong and drops where.
func withoutPath(err error) error {
	if p, ok := errors.AsType[*fs.PathError](err); ok {
		return p.Err
	}
	return err
}
