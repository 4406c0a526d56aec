// Package record holds two events of the journal as the consumer wrote them, and
// makes those of any other command of them by exchanging its number and amount.
// They have the real size, headers excepted, at next to no cost: the floor appends
// them, and a journal is filled with them beforehand. "go run . record" writes
// them anew. Safe for concurrent use.
package record

import (
	"bytes"
	_ "embed"
	"fmt"
	"strconv"

	"github.com/countermand/countermand/bench/job"
)

// What stands in a template for the command's number and amount: of the same length.
const (
	number = "NNNNNNNNN"
	amount = `"value":AAA`
)

//go:embed started.json
var started []byte

//go:embed succeeded.json
var succeeded []byte

// Event is an event's subject and data.
type Event struct {
	Subject string
	Data    []byte
}

// Filter is the journal's filter for a command's payment.
func Filter(c job.Command) string { return "payment.*.*." + job.Instance + "." + c.Payment + ".*" }

// Started is the first event of a command's payment.
func Started(c job.Command) Event { return fill(c, "started", "1", started) }

// Succeeded is the second and last.
func Succeeded(c job.Command) Event { return fill(c, "succeeded", "2", succeeded) }

func fill(c job.Command, status, version string, template []byte) Event {
	data := bytes.ReplaceAll(template, []byte(number), []byte(c.Payment[1:]))
	data = bytes.ReplaceAll(data, []byte(amount), []byte(`"value":`+strconv.FormatInt(c.Amount, 10)))
	return Event{Subject: "payment.refund." + status + "." + job.Instance + "." + c.Payment + "." + version, Data: data}
}

// Template makes a template of a command's event, or says why it cannot.
func Template(c job.Command, event []byte) ([]byte, error) {
	value := []byte(`"value":` + strconv.FormatInt(c.Amount, 10))
	if len(value) != len(amount) || !bytes.Contains(event, value) || !bytes.Contains(event, []byte(c.Payment)) {
		return nil, fmt.Errorf("make template of %s: its event does not name it", c.Payment)
	}
	event = bytes.ReplaceAll(event, value, []byte(amount))
	return bytes.ReplaceAll(event, []byte(c.Payment[1:]), []byte(number)), nil
}
