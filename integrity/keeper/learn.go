package keeper

import "github.com/countermand/countermand/integrity"

// Learn takes in a record that another process or a person has stored: a process
// whose epoch is behind follows at once, and a newer epoch that is held shuts it.
func (k *Keeper) Learn(r integrity.Record) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.learn(r)
}
