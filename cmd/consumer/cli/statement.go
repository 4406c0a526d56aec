package cli

import (
	"errors"
	"fmt"
	"os"

	"github.com/countermand/countermand/reconcile"
	"github.com/countermand/countermand/reconcile/books"
)

// ReadStatement reads a provider's statement, all of it, before anything else is
// done, and tells each fault. Close it.
func ReadStatement(w *World, path string, source books.Source, asJSON bool) (_ *books.Statement, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, Usage(err)
	}
	defer f.Close()
	s, err := books.NewStatement(source.Dir, source.Memory)
	if err != nil {
		return nil, err
	}
	faults := 0
	err = reconcile.ReadStatement(w.Reader(f), s.Add, func(fault reconcile.CSVFault) error {
		faults++
		if asJSON {
			return w.JSON(map[string]reconcile.CSVFault{"fault": fault})
		}
		if faults <= MaxFaults {
			fmt.Fprintf(w.Stderr, "%s:%s\n", path, fault)
		}
		return nil
	})
	if faults > MaxFaults && !asJSON {
		fmt.Fprintf(w.Stderr, "… and %d more faults\n", faults-MaxFaults)
	}
	if err == nil && faults > 0 {
		err = Usage(fmt.Errorf("%d faults in the statement; nothing was compared", faults))
	}
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}
