package books_test

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/countermand/countermand/payment"
	"github.com/countermand/countermand/reconcile"
	"github.com/countermand/countermand/reconcile/books"
)

func open(t *testing.T, name string) *books.Checkpoint {
	t.Helper()
	c, err := books.OpenCheckpoint(name, books.Run{Provider: "p", Account: "a", From: "1", To: "2"}, books.Source{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func said(out payment.Outcome) reconcile.Answers {
	return reconcile.Answers{Outcomes: []*payment.Outcome{&out}}
}

// whole is an outcome in which every field says something that an event does not
// say: a checkpoint has to name those itself.
func whole(t *testing.T) payment.Outcome {
	t.Helper()
	out := payment.Outcome{
		Result: payment.Succeeded, Moved: &payment.Money{Value: 4, Currency: "EGP"}, Fee: &payment.Money{Value: 1, Currency: "EGP"},
		Status: "s", Effect: "e", Code: "c", Message: "m", Basis: "b", ClientReference: "cr", ProviderReference: "pr", ProviderCode: "pc",
		ProviderMessage: "pm", ProviderTime: time.Unix(5, 6).UTC(), RetryAfter: time.Second, Unhealthy: true,
	}
	for v, i := reflect.ValueOf(out), 0; i < v.NumField(); i++ {
		if f := v.Type().Field(i); f.Tag.Get("json") == "-" && v.Field(i).IsZero() {
			t.Fatalf("give %s a value: a checkpoint must keep it", f.Name)
		}
	}
	return out
}

func TestACheckpointKeepsAWholeOutcome(t *testing.T) {
	t.Parallel()
	name := filepath.Join(t.TempDir(), "answers")
	c, want := open(t, name), said(whole(t))
	want.Outcomes = append(want.Outcomes, nil) // not asked
	if err := c.Keep("b", 3, want); err != nil {
		t.Fatal(err)
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	got, there, err := open(t, name).Recall("b", 3)
	if diff := cmp.Diff(want, got); diff != "" || !there || err != nil {
		t.Errorf("there %t, %v (-want +got):\n%s", there, err, diff)
	}
}

// The names of an outcome's fields once were those of Go.
func TestACheckpointOfAnEarlierVersionIsRead(t *testing.T) {
	t.Parallel()
	name := filepath.Join(t.TempDir(), "answers")
	if err := open(t, name).Close(); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(name, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	_, err = f.WriteString(`{"payment":"b","version":3,"answers":{"outcomes":[{"Result":1,"Code":"c","Effect":"e","Moved":{"value":4,"currency":"EGP"},` +
		`"Fee":{"value":1,"currency":"EGP"},"Basis":"b","ProviderReference":"pr","ProviderCode":"pc","ProviderMessage":"pm",` +
		`"ProviderTime":"1970-01-01T00:00:05.000000006Z","RetryAfter":1000000000,"Unhealthy":true,"Message":"m"}]}}` + "\n")
	if err := errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
	want := whole(t)
	want.Status, want.ClientReference = "", ""
	got, there, err := open(t, name).Recall("b", 3)
	if diff := cmp.Diff(said(want), got); diff != "" || !there || err != nil {
		t.Errorf("there %t, %v (-want +got):\n%s", there, err, diff)
	}
}

func TestACheckpointRecallsTheNewestAnswerWhileOurBooksHaveNotMoved(t *testing.T) {
	t.Parallel()
	name := filepath.Join(t.TempDir(), "answers")
	c := open(t, name)
	for _, a := range []struct {
		token   string
		version uint64
		out     payment.Outcome
	}{
		{"b", 2, payment.Outcome{Result: payment.NotFound}},
		{"d", 1, payment.Outcome{Result: payment.Failed}},
		{"c", 5, payment.Outcome{Code: payment.CodeProviderUnavailable}}, // nothing to keep
		{"b", 3, payment.Outcome{Result: payment.Succeeded, Moved: &payment.Money{Value: 4, Currency: "EGP"}}},
	} {
		if err := c.Keep(a.token, a.version, said(a.out)); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	c = open(t, name)
	for _, want := range []struct {
		token   string
		version uint64
		there   bool
	}{{"a", 1, false}, {"b", 3, true}, {"c", 5, false}, {"d", 2, false}, {"e", 1, false}} {
		got, there, err := c.Recall(want.token, want.version)
		if err != nil || there != want.there {
			t.Errorf("%s at version %d: %t, %v", want.token, want.version, there, err)
		}
		if there && (got.Outcomes[0].Result != payment.Succeeded || got.Outcomes[0].Moved.Value != 4) {
			t.Errorf("recalled %+v", got.Outcomes[0])
		}
	}
}

func TestACheckpointIsOnePersonsAndOneRuns(t *testing.T) {
	t.Parallel()
	name := filepath.Join(t.TempDir(), "answers")
	if err := open(t, name).Close(); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(name); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	for _, other := range []books.Run{{Provider: "q", Account: "a", From: "1", To: "2"}, {Provider: "p", Account: "b", From: "1", To: "2"}, {Provider: "p", Account: "a", From: "1", To: "3"}} {
		if _, err := books.OpenCheckpoint(name, other, books.Source{Dir: t.TempDir()}); !errors.Is(err, books.ErrOtherRun) {
			t.Errorf("%+v: %v", other, err)
		}
	}
	if err := os.WriteFile(name, []byte("no checkpoint\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := books.OpenCheckpoint(name, books.Run{}, books.Source{Dir: t.TempDir()})
	if text, _ := os.ReadFile(name); !errors.Is(err, books.ErrOtherRun) || strings.TrimSpace(string(text)) != "no checkpoint" {
		t.Errorf("a file of something else: %v, and it is %q now", err, text)
	}
}
