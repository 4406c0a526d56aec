package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/countermand/countermand/events"
	"github.com/countermand/countermand/integrity"
	"github.com/countermand/countermand/journal/journaltest"
	"github.com/countermand/countermand/journal/stream"
	"github.com/countermand/countermand/payment"
)

// archive copies the journal into a new file.
func (l *losing) archive() string {
	l.t.Helper()
	path := filepath.Join(l.t.TempDir(), "journal.jsonl")
	l.want(0, "0 findings", "archive", path)
	return path
}

// foreign is an archive of another environment.
func foreign(t *testing.T) string {
	t.Helper()
	other := setupLosing(t, "desk: {selfAsserted: true}")
	other.append(101, 130)
	return other.archive()
}

// refuses fails the test unless archives are refused with a text, and nothing is written.
func (l *losing) refuses(text string, args ...string) {
	l.t.Helper()
	before := l.messages()
	for _, apply := range [][]string{nil, {"--apply"}} {
		l.want(1, text, slices.Concat([]string{"recover"}, args, apply)...)
	}
	if after := l.messages(); after != before {
		l.t.Errorf("%v: %d messages were written", args, after-before)
	}
}

func TestAnArchiveOfAnotherJournalIsRefused(t *testing.T) {
	t.Parallel()
	l := setupLosing(t, "desk: {selfAsserted: true}")
	other, archive := foreign(t), l.lose()
	l.want(0, "epoch 1 is held", "journal", "accept", "--reason", "older copy", "--lose", "10", "--apply")
	l.refuses("this archive is of another journal: "+other, "--archive", other)
	l.refuses("this archive is of another journal: "+other, "--archive", other, "--of-this-journal")
	l.refuses("this archive is of another journal: "+other, "--archive", archive, "--archive", other)
	l.want(0, "10 brought back", "recover", "--archive", archive, "--apply")
}

// The acceptance names the first message of the journal that was given up.
func TestAJournalThatWasMadeAnewKnowsItsOwnArchive(t *testing.T) {
	t.Parallel()
	l := setupLosing(t, "desk: {selfAsserted: true}")
	other := foreign(t)
	l.append(1, 20)
	l.mark(integrity.Record{})
	archive := l.archive()
	l.server.DeleteStream(t, l.js, "PAYMENT_EVENTS")
	l.want(0, "", "provision")
	l.refuses("a loss has to be accepted first", "--archive", archive, "--apply")
	l.want(1, "this archive is of another journal", "recover", "--archive", other)
	l.want(0, "20 would be brought back", "recover", "--archive", archive)
	l.want(0, "epoch 1 is held", "journal", "accept", "--reason", "gone", "--lose", "20", "--apply")
	l.refuses("this archive is of another journal", "--archive", other)
	l.refuses("its first message is not the one with which this journal began", "--archive", other, "--of-this-journal")
	_, late := cut(t, archive, 5)
	l.refuses("cannot be recognised as an archive of this journal", "--archive", late)
	l.want(0, "20 would be brought back", "recover", "--archive", archive)
	l.want(0, "20 brought back", "recover", "--archive", archive, "--apply")
	l.want(0, "0 brought back", "recover", "--archive", archive, "--apply")
}

// cut cuts an archive in two, behind a line.
func cut(t *testing.T, path string, behind int) (head, tail string) {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.SplitAfter(string(raw), "\n")
	head, tail = filepath.Join(t.TempDir(), "head.jsonl"), filepath.Join(t.TempDir(), "tail.jsonl")
	for path, part := range map[string][]string{head: lines[:behind], tail: lines[behind:]} {
		if err := os.WriteFile(path, []byte(strings.Join(part, "")), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return head, tail
}

// appendAt adds the first events of payments that were called at an account.
func (l *losing) appendAt(account string, from, to int) {
	l.t.Helper()
	journal, err := stream.New(l.js.Conn(), events.NewEncoder(nil), nil)
	if err != nil {
		l.t.Fatal(err)
	}
	for n := from; n <= to; n++ {
		e := journaltest.Event(payment.ID{Provider: "opay-eg", Native: fmt.Sprint(n)}, 1, "a")
		e.State.Operations[0].Open.Account = account
		if _, err := journal.Append(l.t.Context(), 0, e); err != nil {
			l.t.Fatal(err)
		}
	}
}

func TestASegmentThatNothingTellsOfIsTypedOutAndIsOfTheSameAccounts(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		account string // of the lost operations; empty: the configured one
		text    string
	}{
		"the same account": {"", "5 brought back"},
		"another account":  {strings.Repeat("a", 32), "this archive is of another account"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := setupLosing(t, "desk: {selfAsserted: true}")
			l.append(1, 10)
			older := l.server.Copy(t)
			l.js = l.server.JetStream(t)
			account := row.account
			if account == "" {
				account = l.account()
			}
			l.appendAt(account, 11, 20)
			record := l.mark(integrity.Record{})
			head, late := cut(t, l.archive(), 15)
			l.server.Restore(t, older)
			l.js = l.server.JetStream(t)
			l.mark(record)
			l.want(0, "epoch 1 is held", "journal", "accept", "--reason", "older copy", "--lose", "10", "--apply")
			l.refuses("type it out with --of-this-journal", "--archive", late)
			code := 0
			if row.account != "" {
				code = 1
			}
			l.want(code, row.text, "recover", "--archive", late, "--of-this-journal", "--apply")
			if row.account != "" { // recognised as a whole: its account was changed before the loss
				l.want(0, "10 brought back", "recover", "--archive", head, "--archive", late, "--apply")
			}
			l.want(2, "--of-this-journal belongs to --archive", "recover", "--commands", "--of-this-journal")
		})
	}
}
