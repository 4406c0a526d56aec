package spill_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/countermand/countermand/internal/spill"
)

// sorted adds n records with few distinct keys and reads them back.
func sorted(t *testing.T, n, memory int) (want, got []string) {
	t.Helper()
	s, err := spill.New(t.TempDir(), memory)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	random := rand.New(rand.NewPCG(1, uint64(n)))
	for i := range n {
		key := fmt.Sprintf("k%03d", random.IntN(n/3+1))
		if err := s.Add(key, fmt.Appendf(nil, "%06d", i)); err != nil {
			t.Fatal(err)
		}
		want = append(want, fmt.Sprintf("%s=%06d", key, i))
	}
	slices.SortStableFunc(want, func(a, b string) int { return strings.Compare(a[:4], b[:4]) })
	for range 2 { // it may be read again
		got = nil
		for r, err := range s.Sorted() {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, r.Key+"="+string(r.Value))
		}
	}
	return want, got
}

func TestRecordsComeBackInOrderAndEqualKeysInTheirs(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ n, memory int }{{0, 0}, {1, 0}, {500, 0}, {500, 10 * 74}, {2000, 74}, {2000, 2 * 74}} {
		want, got := sorted(t, c.n, c.memory)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%d records in %d bytes:\n%s", c.n, c.memory, diff)
		}
	}
}

// A killed process leaves nothing behind either.
func TestNothingIsLeftInTheDirectory(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s, err := spill.New(dir, 1)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	if err := s.Add("a", []byte("1")); err != nil {
		t.Fatal(err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
		t.Errorf("left %v, %v", left, err)
	}
	if _, err := spill.New(filepath.Join(dir, "absent"), 0); err == nil {
		t.Error("a directory that is not there is no error")
	}
}
