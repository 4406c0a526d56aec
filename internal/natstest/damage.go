package natstest

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

// Damage changes one byte behind the first appearance of each text (a message's
// subject, say) in the files of a stream, in the server's files as they are: then the
// server starts again, counts the messages there and cannot read them.
func (s *Server) Damage(t testing.TB, stream string, texts ...string) {
	t.Helper()
	s.stop()
	blocks, err := filepath.Glob(filepath.Join(s.opts.StoreDir, "jetstream", "*", "streams", stream, "msgs", "*.blk"))
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range texts {
		if !damageIn(t, blocks, text) {
			t.Fatalf("stream %s holds no %s", stream, text)
		}
	}
	s.start(t)
}

func damageIn(t testing.TB, blocks []string, text string) bool {
	t.Helper()
	for _, path := range blocks {
		block, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		i := bytes.Index(block, []byte(text))
		if i < 0 {
			continue
		}
		block[i+len(text)+8] ^= 0xff // behind the length of the headers, which no checksum covers
		if err := os.WriteFile(path, block, 0o600); err != nil {
			t.Fatal(err)
		}
		return true
	}
	return false
}
