package remote

import (
	"errors"
	"fmt"

	"github.com/countermand/countermand/desk"
	"github.com/countermand/countermand/desk/control"
	"github.com/countermand/countermand/desk/history"
	"github.com/countermand/countermand/desk/rejected"
	"github.com/countermand/countermand/events"
	"github.com/countermand/countermand/integrity/acceptance"
	"github.com/countermand/countermand/internal/strictjson"
	"github.com/countermand/countermand/payment"
)

// Protocol is the version of what is said here. A request of a newer one than
// the service knows is refused.
const Protocol = 1

// protocolEffect is that of a ruling with an effect. A service that does not know
// it would pass the effect over and rule otherwise than its operator said.
const protocolEffect = 2

// protocolBulk is that of one of a file's rulings. A service that does not know it
// would not add them up.
const protocolBulk = 3

// protocolCopies is that of a decision about the journal which says what servers hold of
// the streams beside it. A service that does not know it would accept the loss of what a
// server still holds.
const protocolCopies = 4

// protocolNewest is the newest one.
const protocolNewest = protocolCopies

// The actions, each with a subject of its own.
const (
	actionQueue   = "queue"
	actionPayment = "payment"
	actionAsk     = "ask"
	actionResolve = "resolve"
	actionReplay  = "replay"
	actionRequery = "look"

	actionHistory    = "history"
	actionRejections = "rejections"
	actionRejection  = "rejection"
	actionOriginal   = "original"
	actionDelete     = "delete"
)

// group stands before all subjects.
const group = "payments.desk"

// controlGroup stands before the subjects of what operators ask of the service itself.
const controlGroup = "payments.control"

// The actions of that group.
const (
	actionStandings = "pauses"
	actionPause     = "pause"
	actionResume    = "resume"
	actionRearm     = "rearm"

	actionJournal = "journal-status"
	actionAccept  = "journal-accept"
	actionGo      = "journal-go"
	actionTrust   = "journal-trust"
)

// ControlSubject is where an operator's requests of one action on the service go.
func ControlSubject(action, operator string) string {
	return controlGroup + "." + action + "." + events.Token(operator)
}

// Subject is where an operator's requests of one action at the desk go.
func Subject(action, operator string) string {
	return group + "." + action + "." + events.Token(operator)
}

// Questions are the subjects of one request to the desk and one on the service itself
// that only read. A body that is no request is answered so: it shows that there is
// somebody who answers.
func Questions(operator string) (desk, control string) {
	return Subject(actionQueue, operator), ControlSubject(actionStandings, operator)
}

// request is what is asked; of its fields each action reads its own.
type request struct {
	Protocol  int          `json:"protocol"`
	Filter    *desk.Filter `json:"filter,omitempty"`
	Provider  string       `json:"provider,omitempty"`
	Payment   string       `json:"payment,omitempty"`
	Operation payment.Op   `json:"operation,omitempty"`
	Key       payment.Key  `json:"idempotencyKey,omitempty"`
	Ruling    *desk.Ruling `json:"ruling,omitempty"`
	// Token and Reason are those of a rejected message.
	Token  string `json:"token,omitempty"`
	Reason string `json:"reason,omitempty"`
	// Replay is what is to be published anew.
	Replay *desk.Replay `json:"replay,omitempty"`
	// Requery is the operation to ask the provider about again.
	Requery *desk.Requery `json:"look,omitempty"`
	// From is the version that a page of a history begins with.
	From uint64 `json:"from,omitempty"`
	// Rejections narrows a list of rejected messages.
	Rejections *rejected.Filter `json:"rejections,omitempty"`
	// Delete is whose bytes are to be deleted.
	Delete *rejected.Delete `json:"delete,omitempty"`
	// Say is who is to be paused, or to run again.
	Say *control.Say `json:"say,omitempty"`
	// Rearm is the part of the journal whose timers are to be restored.
	Rearm *control.Rearm `json:"rearm,omitempty"`
	// Servers is what is known of single servers, to show how the journal stands.
	Servers *control.Servers `json:"servers,omitempty"`
	// Decision is what is decided about the journal.
	Decision *control.Decision `json:"decision,omitempty"`
}

// read reads a request strictly: of a member that is there twice the wrong one could be
// carried out, and one that is not known, or in other letters, could have changed what is
// meant.
func read(data []byte) (request, error) {
	var q request
	no := func(format string, args ...any) (request, error) {
		return request{}, &desk.Error{Fault: desk.FaultInvalid, Message: fmt.Sprintf(format, args...)}
	}
	err := strictjson.Unmarshal(data, &q)
	member, named := errors.AsType[*strictjson.MemberError](err)
	switch {
	case q.Protocol > protocolNewest, err == nil && q.Protocol < 1:
		return no("protocol %d is not known here, only up to %d", q.Protocol, protocolNewest)
	case named && member.Rule == strictjson.RuleDuplicate:
		return no("the request has the member %s twice", events.ShortName(member.Pointer))
	case named:
		return no("the request has the member %s, which is not known here", events.ShortName(member.Pointer))
	case err != nil:
		return no("the request is no JSON of this protocol")
	default:
		return q, nil
	}
}

// response is what is answered: one of its fields, by the action.
type response struct {
	Protocol  int             `json:"protocol"`
	Queue     *desk.Queue     `json:"queue,omitempty"`
	Story     *desk.Story     `json:"story,omitempty"`
	Reply     *desk.Reply     `json:"reply,omitempty"`
	Done      *desk.Done      `json:"done,omitempty"`
	Replayed  *desk.Replayed  `json:"replayed,omitempty"`
	Requeried *desk.Requeried `json:"looked,omitempty"`
	History   *history.Page   `json:"history,omitempty"`
	// Rejections, Rejection, Original and Deleted answer about rejected messages.
	Rejections *rejected.Page      `json:"rejections,omitempty"`
	Rejection  *rejected.Rejection `json:"rejection,omitempty"`
	Original   *rejected.Original  `json:"original,omitempty"`
	Deleted    *rejected.Deleted   `json:"deleted,omitempty"`
	// Standings, Said and Rearmed answer controls.
	Standings []control.Standing `json:"standings,omitempty"`
	Said      *control.Said      `json:"said,omitempty"`
	Rearmed   *control.Rearmed   `json:"rearmed,omitempty"`
	// Journal and Decided answer about the journal.
	Journal *acceptance.Status `json:"journal,omitempty"`
	Decided *control.Decided   `json:"decided,omitempty"`
	Error   *desk.Error        `json:"error,omitempty"`
}

// codes are the faults as the codes of a NATS service's error, after HTTP's.
func code(f desk.Fault) string {
	switch f {
	case desk.FaultInvalid:
		return "400"
	case desk.FaultForbidden:
		return "403"
	case desk.FaultNotFound:
		return "404"
	case desk.FaultStale:
		return "409"
	case desk.FaultRefused:
		return "422"
	case desk.FaultUnderWay:
		return "423"
	case desk.FaultUnknown:
		return "504"
	default:
		return "503"
	}
}

// fit drops the oldest events, the last items and the last restored timers until the answer is no larger
// than the server takes; what was dropped is told by complete, total and lost.
func (r *response) fit() bool {
	story := r.Story
	if r.Error != nil && r.Error.Now != nil {
		story = r.Error.Now
	}
	switch {
	case story != nil && len(story.Events) > 1:
		story.Events, story.Complete = story.Events[(len(story.Events)+1)/2:], false
		for i := range story.Operations {
			a := story.Operations[i].Attempts
			story.Operations[i].Attempts = a[len(a)/2:]
		}
	case r.Queue != nil && len(r.Queue.Items) > 1:
		r.Queue.Items = r.Queue.Items[:len(r.Queue.Items)/2]
	case r.Rearmed != nil && len(r.Rearmed.Restored) > 1:
		r.Rearmed.Restored = r.Rearmed.Restored[:len(r.Rearmed.Restored)/2]
	case r.Journal != nil:
		return r.Journal.Shorten()
	case r.Decided != nil && r.Decided.Done.Loss != nil:
		return r.Decided.Done.Loss.Shorten()
	default:
		return false
	}
	return true
}
