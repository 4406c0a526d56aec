package spill_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/countermand/countermand/internal/spill"
)

// sorted adds n records with few distinct keys and reads them back.
func sorted(t *testing.T, n, memory int) (want, got []string, dir string) {
	t.Helper()
	dir = t.TempDir()
	s, err := spill.New(dir, memory)
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
	for r, err := range s.Sorted() {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, r.Key+"="+string(r.Value))
	}
	if s.Len() != n {
		t.Errorf("Len is %d, want %d", s.Len(), n)
	}
	return want, got, dir
}

func TestRecordsComeBackInOrderAndEqualKeysInTheirs(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ n, memory int }{{0, 0}, {1, 0}, {500, 0}, {500, 10 * 74}, {2000, 74}, {2000, 2 * 74}} {
		want, got, dir := sorted(t, c.n, c.memory)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%d records in %d bytes:\n%s", c.n, c.memory, diff)
		}
		own, err := os.ReadDir(dir)
		if err != nil || len(own) != 1 {
			t.Fatal(own, err)
		}
		files, err := os.ReadDir(dir + "/" + own[0].Name())
		if err != nil {
			t.Fatal(err)
		}
		if spilled := len(files) > 0; spilled != (c.memory > 0) {
			t.Errorf("%d records in %d bytes: %d files, so this case shows nothing", c.n, c.memory, len(files))
		}
		if len(files) > 32 {
			t.Errorf("%d files are merged at a time", len(files))
		}
	}
}

func TestCloseLeavesNothingBehind(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s, err := spill.New(dir, 1)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Add("a", []byte("1")); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
		t.Errorf("left %v, %v", left, err)
	}
}

func TestADamagedFileIsAnErrorAndNoEnd(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s, err := spill.New(dir, 1)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	if err := s.Add("key", []byte("value")); err != nil {
		t.Fatal(err)
	}
	own, _ := os.ReadDir(dir)
	files, err := os.ReadDir(dir + "/" + own[0].Name())
	if err != nil || len(files) != 1 {
		t.Fatal(files, err)
	}
	if err := os.Truncate(dir+"/"+own[0].Name()+"/"+files[0].Name(), 4); err != nil {
		t.Fatal(err)
	}
	for _, err := range s.Sorted() {
		if err != nil {
			return
		}
	}
	t.Error("a file that was cut is read as if it were whole")
}
