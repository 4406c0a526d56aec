package spill

import "testing"

func TestADamagedFileIsAnErrorAndNoEnd(t *testing.T) {
	t.Parallel()
	for left := range int64(20) {
		s, err := New(t.TempDir(), 2*(8+overhead))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { s.Close() })
		for range 2 { // one part of two records, each of which takes ten bytes in the file
			if err := s.Add("key", []byte("value")); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.file.Truncate(left); err != nil {
			t.Fatal(err)
		}
		failed := false
		for _, err := range s.Sorted() {
			failed = err != nil
		}
		if !failed && left != 10 { // one whole record looks like a shorter part
			t.Errorf("a file that was cut to %d bytes is read as if it were whole", left)
		}
	}
}
