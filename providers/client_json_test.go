package providers_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/countermand/countermand/providers"
)

func TestEncodedMapsAreSortedAtEveryLevelAndNotEscaped(t *testing.T) {
	t.Parallel()
	got, err := providers.EncodeJSON(map[string]any{
		"z": "a<b>&c", "a": map[string]any{"total": 1, "currency": "EGP"}, "m": "https://shop.example/cb",
	})
	want := `{"a":{"currency":"EGP","total":1},"m":"https://shop.example/cb","z":"a<b>&c"}`
	if err != nil || string(got) != want {
		t.Errorf("%s, %v", got, err)
	}
}

func TestTextReadsStringsAndNumbersAndOnlyWholeNumbersAreIntegers(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]struct {
		text  providers.Text
		value int64
		whole bool
	}{
		`"00"`: {"00", 0, false}, `32`: {"32", 32, true}, `"400"`: {"400", 400, true}, `null`: {"", 0, false},
		`"0400"`: {"0400", 0, false}, `"+400"`: {"+400", 0, false}, `-4`: {"-4", -4, true},
		`0`: {"0", 0, true}, `4.00`: {"4.00", 0, false}, `"4,00"`: {"4,00", 0, false}, `1e3`: {"1e3", 0, false}, `9223372036854775808`: {"9223372036854775808", 0, false},
	} {
		var text providers.Text
		if err := json.Unmarshal([]byte(in), &text); err != nil || text != want.text {
			t.Errorf("%s: %q, %v", in, text, err)
		}
		if value, whole := text.Int(); whole != want.whole || (whole && value != want.value) {
			t.Errorf("%s: %d, %v", in, value, whole)
		}
	}
}

func TestAnUnreadableAnswerIsNotQuoted(t *testing.T) {
	t.Parallel()
	const card = "4111111111111111"
	for _, body := range []string{
		"", "<html>" + card, `{"code":{"a":"` + card + `"}}`, `{"code":["` + card + `"]}`, `{"n":` + card + `}`, `{} ` + card, `[]`, "\xff\xfe",
		`{"code":"00","code":"` + card + `"}`, `{"a":1,"a":1}`,
	} {
		var v struct {
			Code providers.Text `json:"code"`
			N    string         `json:"n"`
		}
		err := providers.DecodeJSON([]byte(body), &v)
		if !errors.Is(err, providers.ErrUnreadable) || strings.Contains(err.Error(), card) {
			t.Errorf("%q: %v", body, err)
		}
	}
}

func TestNamesAreComparedLetterByLetter(t *testing.T) {
	t.Parallel()
	var v struct {
		Code providers.Text `json:"code"`
	}
	if err := providers.DecodeJSON([]byte(`{"CODE":"00000","Code":"1"}`), &v); err != nil || v.Code != "" {
		t.Errorf("%q, %v", v.Code, err)
	}
}

func TestAReferenceTooLongToBeOneIsLeftOut(t *testing.T) {
	t.Parallel()
	for length, want := range map[int]int{0: 0, 1: 1, 128: 128, 129: 0, 1 << 20: 0} {
		if got := providers.Text(strings.Repeat("9", length)).Reference(); len(got) != want {
			t.Errorf("%d characters become %d, want %d", length, len(got), want)
		}
	}
}
