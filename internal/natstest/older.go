package natstest

import (
	"os"
	"testing"
)

// Older takes a copy of all that the server has stored, and returns what puts the
// copy back: the loss that a restored volume or a lost disk makes. Both stop the
// server and start it again.
func (s *Server) Older(t testing.TB) (back func()) {
	t.Helper()
	copied := t.TempDir()
	s.stop()
	copyStore(t, copied, s.opts.StoreDir)
	s.start(t)
	return func() {
		t.Helper()
		s.stop()
		if err := os.RemoveAll(s.opts.StoreDir); err != nil {
			t.Fatalf("remove store: %v", err)
		}
		copyStore(t, s.opts.StoreDir, copied)
		s.start(t)
	}
}

func copyStore(t testing.TB, to, from string) {
	t.Helper()
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		t.Fatalf("copy store: %v", err)
	}
}
