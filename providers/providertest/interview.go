package providertest

import (
	"testing"

	"github.com/countermand/countermand/providers"
)

// Interview asks an adapter in every way there is to ask and has each request
// answered with an answer of the provider's that was changed somewhere. It proves
// that each is asked with one request; what may be made of an answer the kind's
// own tests judge. W describes one way to ask.
type Interview[W any] struct {
	Ways []W
	// Answers are the provider's own, and Words what stands in the place of their
	// values; each is a JSON text (see Reshape).
	Answers, Words []string
	// Ask asks once over the client, which is answered with say, and judges.
	Ask func(t *testing.T, way W, client *providers.Client, say Saying)
}

// Fuzz has the fuzzer choose the way, the status and the changes.
func (v Interview[W]) Fuzz(f *testing.F) {
	scripts := Scripts(len(v.Ways) * len(v.Answers))
	for i := range v.Ways {
		for k, body := range v.Answers {
			script := scripts[i*len(v.Answers)+k]
			f.Add(uint8(i), uint16(100), i%5 == 0, []byte(body), []byte{})
			f.Add(uint8(i), uint16(100), false, []byte(body), script)
			f.Add(uint8(i), uint16(300+k), false, []byte(body), script)
		}
	}
	f.Fuzz(func(t *testing.T, way uint8, status uint16, cut bool, text, script []byte) {
		v.ask(t, v.Ways[int(way)%len(v.Ways)], Saying{
			Status: 100 + int(status)%500, Body: Reshape(text, script, v.Words...), Cut: cut,
		})
	})
}

// Sparse is n, and five times as much with -short: of what differs in its data
// alone the race detector sees no more in more of it.
func Sparse(n int) int {
	if testing.Short() {
		return 5 * n
	}
	return n
}

// EveryNth tries every Sparse n-th of all single changes, always the same ones.
func (v Interview[W]) EveryNth(t *testing.T, n int) {
	t.Helper()
	n = Sparse(n)
	count := 0
	for _, way := range v.Ways {
		for _, text := range v.Answers {
			for script := range EveryChange([]byte(text), len(v.Words)) {
				if count++; count%n == 0 {
					status := []int{200, 200, 400, 422}[count%4]
					v.ask(t, way, Saying{Status: status, Body: Reshape([]byte(text), script, v.Words...)})
				}
			}
		}
	}
}

// ask asks once, and shows what was asked and answered where that went wrong.
func (v Interview[W]) ask(t *testing.T, way W, say Saying) {
	t.Helper()
	line := NewLine(say)
	client := providers.NewClient(&providers.ClientOptions{Dial: line.Dial})
	v.Ask(t, way, client, say)
	if n := line.Asked(); n != 1 {
		t.Errorf("%d requests", n)
	}
	client.CloseIdle()
	line.Wait()
	if t.Failed() {
		t.Fatalf("%+v\nHTTP %d, cut %v: %q", way, say.Status, say.Cut, say.Body)
	}
}
