package events

import (
	"strings"

	"github.com/go-playground/validator/v10"
)

// CardLike reports whether digits in a text could be a card number: as long and
// beginning as one of the schemes' numbers do, with the right check digit. A
// provider's own references are runs of digits too (OPay's have 18), so the mere
// length, by which free texts are masked, would refuse them.
func CardLike(s string) bool {
	digits := strings.Map(func(r rune) rune {
		switch {
		case r >= '0' && r <= '9':
			return r
		case r == ' ' || r == '-':
			return -1
		default:
			return '/'
		}
	}, s)
	for run := range strings.SplitSeq(digits, "/") {
		// Made anew each time: only what people type is looked at.
		if issued(run) && validator.New().Var(run, "luhn_checksum") == nil {
			return true
		}
	}
	return false
}

// issued reports whether a card scheme issues numbers of this beginning and
// length (ISO/IEC 7812 ranges as the schemes publish them).
func issued(n string) bool {
	for _, s := range []struct {
		from, to string
		lengths  []int
	}{
		{"2221", "2720", []int{16}},
		{"34", "34", []int{15}},
		{"37", "37", []int{15}},
		{"30", "30", []int{14, 16, 19}},
		{"35", "36", []int{14, 16, 17, 18, 19}},
		{"38", "39", []int{14, 16, 19}},
		{"4", "4", []int{13, 16, 19}},
		{"50", "50", []int{13, 14, 15, 16, 17, 18, 19}},
		{"51", "55", []int{16}},
		{"56", "69", []int{13, 14, 15, 16, 17, 18, 19}},
	} {
		for _, length := range s.lengths {
			if len(n) == length && n[:len(s.from)] >= s.from && n[:len(s.to)] <= s.to {
				return true
			}
		}
	}
	return false
}
