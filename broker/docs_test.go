package broker_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/countermand/countermand/broker"
)

func TestThePagesSayHowManyMessagesEachConsumerAllows(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile(filepath.Join("..", "docs", "deploying.md"))
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Join(strings.Fields(string(page)), " ")
	topology := broker.DefaultTopology()
	commands, due, late := topology.CommandsConsumerConfig(), topology.DueConsumerConfig(), topology.LateConsumerConfig()
	if commands.MaxAckPending != due.MaxAckPending {
		t.Errorf("commands %d, timers %d: the page has one number for both", commands.MaxAckPending, due.MaxAckPending)
	}
	for _, want := range []string{
		fmt.Sprintf("The consumers of commands and of timers each allow four times that for all pods together (%d).", commands.MaxAckPending),
		fmt.Sprintf("The consumer that looks at results again later allows %d,", late.MaxAckPending),
	} {
		if !strings.Contains(text, want) {
			t.Errorf("docs/deploying.md does not say %q", want)
		}
	}
}
