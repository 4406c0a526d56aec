package strictjson

import (
	"errors"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	jsonv1 "github.com/go-json-experiment/json/v1"
)

// Unmarshal reads one JSON value into v strictly: a member that is there twice, that v does
// not have, or that v has in other letters is an error, and so is text behind the value.
// What is left is read as encoding/json reads it. Unlike a Reader it stops at the first
// fault, which is a *MemberError where it lies in the name of a member.
func Unmarshal(data []byte, v any) error {
	err := json.Unmarshal(data, v, jsonv1.DefaultOptionsV1(), jsonv1.ReportErrorsWithLegacySemantics(false), jsontext.AllowDuplicateNames(false),
		json.MatchCaseInsensitiveNames(false), json.RejectUnknownMembers(true))
	if twice, ok := errors.AsType[*jsontext.SyntacticError](err); ok && errors.Is(err, jsontext.ErrDuplicateName) {
		return &MemberError{Pointer: string(twice.JSONPointer), Rule: RuleDuplicate}
	}
	if unknown, ok := errors.AsType[*json.SemanticError](err); ok && errors.Is(err, json.ErrUnknownName) {
		return &MemberError{Pointer: string(unknown.JSONPointer), Rule: RuleUnknown}
	}
	return err
}

// MemberError is a member that is there twice, or that is not known.
type MemberError struct {
	Pointer string // the sender's own words
	Rule    string // RuleDuplicate or RuleUnknown
}

// Error implements error.
func (e *MemberError) Error() string {
	if e.Rule == RuleDuplicate {
		return "the member " + e.Pointer + " is there twice"
	}
	return "the member " + e.Pointer + " is not known here"
}
