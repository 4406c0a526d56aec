//go:build unix

package main

import (
	"strings"

	table "github.com/countermand/countermand/internal/simulators"
	"github.com/countermand/countermand/payment"
	"github.com/countermand/countermand/providers/simulator"
)

// kinds are all simulated kinds, each with one instance.
func kinds() []simulator.Kind { return table.Kinds() }

// credential is the variable of the environment that holds a secret.
func credential(k simulator.Kind, s simulator.Setting) string {
	return "CHAOS_" + strings.ToUpper(k.Name+"_"+s.Key)
}

// settings are a kind's own lines of the configuration.
func settings(k simulator.Kind) string {
	return k.YAML(func(s simulator.Setting) string { return "{env: " + credential(k, s) + "}" })
}

// credentials are the simulated accounts', as the environment gives them.
func credentials() []string {
	var all []string
	for _, k := range kinds() {
		for _, s := range k.Secrets() {
			all = append(all, credential(k, s)+"="+s.Text())
		}
	}
	return all
}

// play draws one of the kind's scenes and asks for what is in it. It returns
// what the payment must be in.
func (d *drawer) play() simulator.State {
	pick := d.random.IntN(10)
	for _, s := range d.kind.Scenes {
		if pick -= s.Share; pick < 0 {
			for _, a := range s.Asks {
				d.request(a)
			}
			return s.State
		}
	}
	return simulator.Paid
}

// request asks for one thing.
func (d *drawer) request(a simulator.Ask) {
	part, cancel := string(d.kind.PartRepeat), string(d.kind.CancelRepeat)
	switch a.What {
	case simulator.AskParts:
		n := max(a.Parts, 1)
		if a.UpTo > 1 {
			n = 1 + d.random.IntN(a.UpTo)
		}
		d.parts(n, part)
	case simulator.AskFull:
		d.full()
	case simulator.AskCancel:
		d.ask(wish{op: payment.Cancel, repeat: cancel, refused: a.Never})
	case simulator.AskTooMuch:
		d.tooMuch(part)
	case simulator.AskExpired:
		d.expired(part)
	}
}
