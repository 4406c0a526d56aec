package events

import (
	"errors"
	"fmt"
	"strings"
	"unicode"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/countermand/countermand/internal/safetext"
	"github.com/countermand/countermand/payment"
)

// operatorData is the data of an audit event.
type operatorData struct {
	Action         string      `json:"action"`
	Operator       string      `json:"operator"`
	Identity       string      `json:"identity,omitzero"`
	Login          string      `json:"login,omitzero"`
	Reason         string      `json:"reason"`
	Evidence       string      `json:"evidence,omitzero"`
	Provider       string      `json:"provider,omitzero"`
	Payment        string      `json:"payment,omitzero"`
	Operation      payment.Op  `json:"operation,omitzero"`
	IdempotencyKey payment.Key `json:"idempotencyKey,omitzero"`
	Version        uint64      `json:"version,omitzero"`
	Token          string      `json:"token,omitzero"`
	Ruling         string      `json:"ruling,omitzero"`
	payment.Testimony
	AtRisk     *payment.Money `json:"atRisk,omitzero"`
	Content    string         `json:"fingerprint,omitzero"`
	Bulk       bool           `json:"bulk,omitzero"`
	Journal    *JournalLoss   `json:"journal,omitzero"`
	Outcome    string         `json:"outcome,omitzero"`
	Follows    string         `json:"follows,omitzero"`
	OccurredAt Stamp          `json:"occurredAt"`
}

// JournalLoss is what an operator's action says about the journal itself: which
// loss is accepted, and which epoch begins or goes on.
type JournalLoss struct {
	// Epoch is the number of the epoch that the action leads to.
	Epoch uint64 `json:"epoch"`
	// Fingerprint names what was looked at, so that another operator says the same.
	Fingerprint string `json:"fingerprint,omitzero"`
	// Known is how far the journal was known to reach, Found where it ends.
	Known uint64 `json:"known,omitzero"`
	Found uint64 `json:"found,omitzero"`
	// GivenUp is how many messages are given up.
	GivenUp uint64 `json:"givenUp,omitzero"`
	// Holes are the ranges of sequences in the middle that hold nothing.
	Holes []SequenceRange `json:"holes,omitzero"`
	// CommandsLost is how many commands are lost for good, by this acceptance and by
	// earlier ones that were not followed by trust.
	CommandsLost uint64 `json:"commandsLost,omitzero"`
	// KnownAt is when the journal was known to reach Known.
	KnownAt Stamp `json:"knownAt,omitzero"`
	// First is the message at sequence 1 of the journal as it was known before the
	// loss. An archive of that journal is recognised by it, also where the journal was
	// made anew. Nil: nobody knew it, or an earlier version recorded the action.
	First *FirstMessage `json:"first,omitzero"`
}

// FirstMessage names the message at sequence 1 of a journal.
type FirstMessage struct {
	Subject string `json:"subject"`
	// SHA256 is the hash of its data, in hex.
	SHA256 string `json:"sha256"`
}

// SequenceRange is a closed range of sequences.
type SequenceRange struct {
	From uint64 `json:"from"`
	To   uint64 `json:"to"`
}

// EncodeOperator encodes the audit event of an operator's action, its texts
// masked. An action that is no word and a missing ULID, operator or reason are
// errors: such an event would say nothing.
func (e *Encoder) EncodeOperator(a payment.OperatorAction) (Message, error) {
	return e.EncodeJournalAction(a, nil)
}

// EncodeJournalAction is EncodeOperator for an action about the journal itself.
func (e *Encoder) EncodeJournalAction(a payment.OperatorAction, j *JournalLoss) (Message, error) {
	if !actionName(a.Action) || len(a.ULID) != 26 || !attributeName(strings.ToLower(a.ULID)) {
		return Message{}, errors.New("encode operator's action: action or ulid is malformed")
	}
	if a.Operator == "" || a.Reason == "" {
		return Message{}, errors.New("encode operator's action: operator and reason are required")
	}
	subject := OperatorSubject(a.Action, a.ULID)
	attr := attributes{
		SpecVersion: "1.0", ID: subject, Source: e.source(), Type: operatorType + "." + a.Action,
		Time: stamp(a.At), DataContentType: jsonType, DataSchema: e.schema + operatorType + ".json",
	}
	if a.ID.Native != "" {
		attr.Subject = partitionKey(a.ID)
		attr.PartitionKey = attr.Subject
	}
	said := a.Testimony
	said.ProviderReference = reference(said.ProviderReference)
	return encode(e, attr, &operatorData{
		Action: a.Action, Operator: Mask(a.Operator), Identity: a.Identity, Login: Mask(a.Login), Reason: Text(a.Reason), Evidence: Text(a.Evidence),
		Provider: a.ID.Provider, Payment: paymentToken(a.ID), Operation: a.Op, IdempotencyKey: a.Key, Version: a.Version,
		Token: a.Token, Ruling: a.Ruling, Testimony: said,
		AtRisk: a.AtRisk, Content: a.Content, Bulk: a.Bulk, Journal: j, Outcome: a.Outcome, Follows: a.Follows, OccurredAt: Stamp{a.At},
	})
}

// DecodeOperator reads an audit event back, in either mode.
func DecodeOperator(m Message) (payment.OperatorAction, error) {
	a, _, err := DecodeJournalAction(m)
	return a, err
}

// DecodeJournalAction is DecodeOperator that also returns what the action says
// about the journal itself; nil where it says nothing.
func DecodeJournalAction(m Message) (payment.OperatorAction, *JournalLoss, error) {
	var data operatorData
	var id string
	var err error
	if isStructured(m) {
		e := structured[operatorData]{Data: &data}
		err = json.Unmarshal(m.Data, &e, jsontext.AllowDuplicateNames(true))
		id = e.ID
	} else {
		id = header(m, "ce-id")
		err = json.Unmarshal(m.Data, &data, jsontext.AllowDuplicateNames(true))
	}
	if err != nil {
		return payment.OperatorAction{}, nil, fmt.Errorf("decode operator's action: %w", err)
	}
	ulid, ok := strings.CutPrefix(id, operatorType+"."+data.Action+".")
	if !ok || data.Action == "" {
		return payment.OperatorAction{}, nil, errors.New("decode operator's action: its id is not of its action")
	}
	native := ""
	if data.Payment != "" {
		if native, err = ParseToken(data.Payment); err != nil {
			return payment.OperatorAction{}, nil, fmt.Errorf("decode operator's action: %w", err)
		}
	}
	return payment.OperatorAction{
		ULID: ulid, Action: data.Action, Operator: data.Operator, Identity: data.Identity, Login: data.Login, Reason: data.Reason, Evidence: data.Evidence,
		ID: payment.ID{Provider: data.Provider, Native: native}, Op: data.Operation, Key: data.IdempotencyKey,
		Version: data.Version, Token: data.Token, Ruling: data.Ruling, Testimony: data.Testimony,
		AtRisk: data.AtRisk, Content: data.Content, Bulk: data.Bulk, Outcome: data.Outcome, Follows: data.Follows, At: data.OccurredAt.Time,
	}, data.Journal, nil
}

// paymentToken is a payment's token, or nothing where there is no payment.
func paymentToken(id payment.ID) string {
	if id.Native == "" {
		return ""
	}
	return Token(id.Native)
}

// actionName reports whether s is a word of the form ^[a-z][a-z0-9_-]*$.
func actionName(s string) bool {
	for i := range len(s) {
		c := s[i]
		if (c < 'a' || c > 'z') && (i == 0 || (c < '0' || c > '9') && c != '_' && c != '-') {
			return false
		}
	}
	return s != ""
}

// reference is a provider's reference as it was typed, masked if it could be a
// card number.
func reference(s string) string {
	if !safetext.CardLike(s) {
		return s
	}
	masked := Mask(s)
	if safetext.CardLike(masked) { // divided as no text divides one
		return strings.Map(func(r rune) rune {
			if unicode.IsDigit(r) {
				return '*'
			}
			return r
		}, masked)
	}
	return masked
}
