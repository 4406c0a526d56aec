package check_test

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"

	"github.com/countermand/countermand/internal/check"
)

// unanswered are the findings about answers, as subject and what is said of it.
func (b *bundle) unanswered(role check.Role) map[string]string {
	b.t.Helper()
	told := map[string]string{}
	for _, f := range b.as(string(role)).all(&check.Options{As: role, Operator: "operator", Patience: time.Second}) {
		switch {
		case f.Check == check.Answer:
			told[strings.TrimPrefix(f.What, "request on ")] = f.Is + ": " + f.Do
		case f.Severity == check.Error:
			b.t.Error(f)
		}
	}
	return told
}

// without leaves the imports of a subject out of a file.
func without(name, subject string) func(string, string) string {
	line := regexp.MustCompile(`(?m)^.*\{service: \{[^\n]*"` + regexp.QuoteMeta(subject) + `".*$`)
	return func(is, text string) string {
		if is != name {
			return text
		}
		return line.ReplaceAllString(text, "")
	}
}

func unchanged(_, text string) string { return text }

// operatorAsks are what a check as an operator asks, by what people import for it.
func operatorAsks() map[string]string {
	return map[string]string{
		"payments.desk.*.*": "payments.desk.queue.operator", "payments.control.*.*": "payments.control.pauses.operator", "payments.status": "payments.status",
	}
}

func answering(m *nats.Msg) error { return m.Respond([]byte("{}")) }

func TestWhereNobodyAnswersAnOperatorIsToldBothCauses(t *testing.T) {
	t.Parallel()
	told := withRolesBut(t, unchanged).unanswered(check.Operator)
	for imported, subject := range operatorAsks() {
		if is := told[subject]; !strings.Contains(is, "heard by nobody") || !strings.Contains(is, "either no service runs, or the account of this login lacks the import of "+imported+" (permissions/people.conf)") {
			t.Errorf("%s: told %q", subject, is)
		}
	}
}

func TestAnImportThatPeopleLackIsNamedAlone(t *testing.T) {
	t.Parallel()
	for imported, subject := range operatorAsks() {
		b := withRolesBut(t, without("people", imported))
		b.serve(answering)
		told := b.unanswered(check.Operator)
		if is := told[subject]; len(told) != 1 || !strings.Contains(is, ": the account of this login lacks the import of "+imported) || strings.Contains(is, "no service runs") {
			t.Errorf("%s: told %q", imported, told)
		}
	}
}

func TestAnImportThatReadersLackIsNamedAlone(t *testing.T) {
	t.Parallel()
	for _, subject := range rights(t, "reader") {
		told := withRolesBut(t, without("reader", subject)).unanswered(check.Reader)
		if is := told[subject]; len(told) != 1 || !strings.Contains(is, "lacks the import of "+subject+" (permissions/reader.conf)") {
			t.Errorf("%s: told %q", subject, told)
		}
	}
}

// The service hears operators then, does what they ask, and cannot say so.
func TestAServiceThatMayNotAnswerIsNamedToAnOperator(t *testing.T) {
	t.Parallel()
	b := withRolesBut(t, func(name, text string) string {
		if name != "consumer" {
			return text
		}
		return regexp.MustCompile(`(?m)^.*allow_responses.*$`).ReplaceAllString(text, "")
	})
	b.serve(answering)
	told := b.unanswered(check.Operator)
	for _, subject := range operatorAsks() {
		if is := told[subject]; !strings.Contains(is, "heard, and not answered within 1s") || !strings.Contains(is, "allow_responses is missing") {
			t.Errorf("%s: told %q", subject, is)
		}
	}
}

func TestAServiceThatRefusesAnOperatorIsHeard(t *testing.T) {
	t.Parallel()
	b := withRolesBut(t, unchanged)
	b.serve(func(m *nats.Msg) error {
		no := nats.NewMsg(m.Reply)
		no.Header.Set(micro.ErrorCodeHeader, "403")
		no.Header.Set(micro.ErrorHeader, "nobody you are")
		return m.RespondMsg(no)
	})
	told := b.unanswered(check.Operator)
	for _, subject := range operatorAsks() {
		if is := told[subject]; !strings.Contains(is, "refused by the service (nobody you are)") {
			t.Errorf("%s: told %q", subject, is)
		}
	}
}
