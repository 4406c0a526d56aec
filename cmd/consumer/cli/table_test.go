package cli_test

import (
	"strings"
	"testing"

	"github.com/countermand/countermand/cmd/consumer/cli"
)

func TestATableHasItsNamesOnceAndNoFormula(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		rows [][]string
		want string
	}{
		"no row":   {nil, "a,b\n"},
		"two rows": {[][]string{{"1", "2"}, {"3", ""}}, "a,b\n1,2\n3,\n"},
		"formulas": {[][]string{{"=1+1", "@x"}, {"-1", "+2"}, {"\tx", "x=1"}}, "a,b\n'=1+1,'@x\n'-1,'+2\n'\tx,x=1\n"},
	} {
		var out strings.Builder
		table := cli.NewTable(&out, "a", "b")
		for _, fields := range row.rows {
			if err := table.Row(fields...); err != nil {
				t.Fatal(err)
			}
		}
		if err := table.End(); err != nil || out.String() != row.want {
			t.Errorf("%s: %q, %v, want %q", name, out.String(), err, row.want)
		}
	}
}
