package events

import (
	"errors"
	"fmt"
	"reflect"
	"strings"

	"github.com/go-playground/validator/v10"

	"github.com/countermand/countermand/payment"
)

const (
	atLeastOne = "at least 1"
	atMostMax  = "at most 9007199254740991"
)

// The names of our own rules in validate tags.
const (
	tagGraphic   = "graphic"  // printable ASCII without space
	tagProvider  = "provider" // the name of a provider instance
	tagCurrency  = "currency" // an ISO 4217 code that has minor units
	tagOneID     = "one_id"   // orderId or transactionId
	tagOneAmount = "one_amount"
	tagExclusive = "exclusive"
)

// newValidator builds the rules of the wire. A validator caches what it learns
// of each type, so there is one for the whole program.
func newValidator() (*validator.Validate, error) {
	v := validator.New(validator.WithRequiredStructEnabled())
	v.RegisterTagNameFunc(func(f reflect.StructField) string {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		return name
	})
	rules := map[string]func(string) bool{
		tagGraphic:  graphic,
		tagProvider: validProvider,
		tagCurrency: func(s string) bool { _, ok := payment.Currency(s).Exponent(); return ok },
	}
	for tag, valid := range rules {
		err := v.RegisterValidation(tag, func(fl validator.FieldLevel) bool { return valid(fl.Field().String()) })
		if err != nil {
			return nil, fmt.Errorf("register rule %s: %w", tag, err)
		}
	}
	v.RegisterStructValidation(oneIdentifier, paymentDetails{})
	v.RegisterStructValidation(oneAmount, commandData{})
	return v, nil
}

// oneIdentifier: a payment is named by an order, a transaction, or both. Which
// of them a provider needs is its kind's business (a later refusal).
func oneIdentifier(sl validator.StructLevel) {
	p := sl.Current().Addr().Interface().(*paymentDetails)
	if p.OrderID == "" && p.TransactionID == "" {
		sl.ReportError(p.OrderID, "", "", tagOneID, "")
	}
}

// oneAmount: exactly one of amount and full, where the operation takes an amount.
func oneAmount(sl validator.StructLevel) {
	r := sl.Current().Addr().Interface().(*commandData)
	switch {
	case !r.Op.TakesAmount():
	case r.Amount == nil && r.Full == nil:
		sl.ReportError(r.Amount, "amount", "Amount", tagOneAmount, "")
	case r.Amount != nil && r.Full != nil:
		sl.ReportError(r.Full, "full", "Full", tagExclusive, "")
	}
}

// validate applies the rules to data that was read. What the reading already
// found fault with is not judged again.
func validate(v *validator.Validate, data any, f *faults) error {
	err := v.Struct(data)
	if err == nil {
		return nil
	}
	var found validator.ValidationErrors
	if !errors.As(err, &found) {
		return fmt.Errorf("validate command: %w", err)
	}
	for _, fe := range found {
		pointer := pointerOf(fe.Namespace())
		if !f.Covers(pointer) {
			rule, detail := describe(fe)
			f.Add(pointer, rule, detail)
		}
	}
	return nil
}

// pointerOf turns "commandData.payment.orderId" into "/payment/orderId".
func pointerOf(namespace string) string {
	_, path, _ := strings.Cut(namespace, ".")
	path = strings.TrimSuffix(path, ".")
	return "/" + strings.ReplaceAll(path, ".", "/")
}

// describe names the broken rule and what it asks for, never what was given.
func describe(fe validator.FieldError) (rule, detail string) {
	switch fe.Tag() {
	case "min":
		return ruleMin, "at least " + fe.Param()
	case "max":
		if fe.Kind() == reflect.String {
			return ruleMax, "at most " + fe.Param() + " characters"
		}
		return ruleMax, "at most " + fe.Param()
	case tagGraphic:
		return rulePattern, "printable ASCII characters without space"
	case tagProvider:
		return rulePattern, "^[a-z0-9][a-z0-9-]{0,31}$"
	case "iso3166_1_alpha2":
		return ruleCountry, "ISO 3166-1 alpha-2"
	case tagCurrency:
		return ruleCurrency, "ISO 4217, with minor units"
	case "eq":
		return ruleOneOf, "true"
	case tagOneID:
		return ruleRequired, "orderId or transactionId"
	case tagOneAmount:
		return ruleRequired, "amount or full"
	case tagExclusive:
		return ruleExclusive, "amount or full, not both"
	default:
		return fe.Tag(), ""
	}
}
