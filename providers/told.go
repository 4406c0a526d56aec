package providers

import (
	"context"
	"slices"
	"strings"
	"unicode"

	"github.com/countermand/countermand/internal/safetext"
	"github.com/countermand/countermand/payment"
)

// Texts are the messages that a kind's documentation lists, by the provider's code;
// under "" those that come without one. A code without a text of its own belongs here
// too where it has no digit.
//
// A provider's free text can name its customer ("declined for … of <name>, <e-mail>").
// So a message is told only if it is one of these for its code, compared without case,
// spaces and punctuation. Any other is left out, and the code stands alone.
type Texts map[string][]string

// told is what of an outcome may leave the program. The adapter's own words and
// what it has read as an amount, a time or a status stay as they are.
func (t Texts) told(o payment.Outcome) payment.Outcome {
	listed, known := t[o.ProviderCode]
	if !slices.ContainsFunc(listed, func(text string) bool { return bare(text) == bare(o.ProviderMessage) }) {
		o.ProviderMessage = ""
	}
	if !known && !safetext.Code(o.ProviderCode) {
		o.ProviderCode = ""
	}
	o.ProviderReference = Text(o.ProviderReference).Reference()
	return o
}

// bare is a text without case, spaces and punctuation.
func bare(text string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsLetter(r) && !unicode.IsDigit(r) {
			return -1
		}
		return unicode.ToLower(r)
	}, text)
}

// toldAdapter is an adapter of whose outcomes only what may leave the program is told.
// Every adapter that a Kind opens is one: this is the place where a provider's words
// are judged, for events, logs, console, reviews and reconciliation alike.
type toldAdapter struct {
	Adapter

	texts Texts
}

// tell wraps an adapter. One that verifies notifications still does.
func tell(a Adapter, texts Texts) Adapter {
	wrapped := &toldAdapter{Adapter: a, texts: texts}
	if v, ok := a.(NotificationVerifier); ok {
		return &toldVerifier{toldAdapter: wrapped, NotificationVerifier: v}
	}
	return wrapped
}

// Call implements Provider.
func (a *toldAdapter) Call(ctx context.Context, r Request) payment.Outcome {
	return a.texts.told(a.Adapter.Call(ctx, r))
}

// QueryStatus implements Provider.
func (a *toldAdapter) QueryStatus(ctx context.Context, r Request) payment.Outcome {
	return a.texts.told(a.Adapter.QueryStatus(ctx, r))
}

type toldVerifier struct {
	*toldAdapter
	NotificationVerifier
}
