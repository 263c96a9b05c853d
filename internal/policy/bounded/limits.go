package bounded

import (
	"errors"
	"fmt"
	"math/big"
	"regexp/syntax"
	"strings"
	"unicode/utf8"

	"github.com/open-policy-agent/opa/v1/ast"
)

// The limits. They are far above what decisions need, and low enough that no call within
// them takes more than some tenths of a second, or some tens of megabytes.
const (
	maxText     = 1 << 20  // bytes of a text that is made
	maxElements = 1 << 20  // elements of an array that is made, and values that are written
	maxRange    = 10_000   // numbers of a range
	maxDigits   = 40_000   // of a number that is made
	maxKey      = 64 << 10 // bytes of keys and certificates, as text
	maxMatching = 1 << 25  // the length of a text times that of the pattern that it is matched with
	maxPairs    = 100_000  // pairs of addresses that are compared
)

var errNumber = errors.New("the number would be too long")

// limit refuses a call by its arguments, before anything is done.
type limit func(args []*ast.Term) error

// limits are the functions that have limits on what they are given.
func limits() map[string]limit {
	out := map[string]limit{
		ast.NumbersRange.Name:                                    inRange,
		ast.NumbersRangeStep.Name:                                inRange,
		ast.BitsShiftLeft.Name:                                   shifted,
		ast.Product.Name:                                         multiplied,
		ast.Sprintf.Name:                                         formatted,
		ast.Concat.Name:                                          concatenated,
		ast.InternalTemplateString.Name:                          concatenated,
		ast.Replace.Name:                                         replaced,
		ast.ReplaceN.Name:                                        replacedEach,
		ast.RegexMatch.Name:                                      matched(0, 1),
		ast.RegexMatchDeprecated.Name:                            matched(0, 1),
		ast.RegexSplit.Name:                                      matched(0, 1),
		ast.RegexFind.Name:                                       matched(0, 1),
		ast.RegexFindAllStringSubmatch.Name:                      matchedGroups,
		ast.RegexReplace.Name:                                    replacedByPattern,
		ast.GlobMatch.Name:                                       globbed,
		ast.ArrayConcat.Name:                                     joined,
		ast.NetCIDRContainsMatches.Name:                          paired,
		ast.JSONMarshal.Name:                                     written,
		ast.YAMLMarshal.Name:                                     written,
		ast.Base64Encode.Name:                                    written,
		ast.Base64UrlEncode.Name:                                 written,
		ast.Base64UrlEncodeNoPad.Name:                            written,
		ast.HexEncode.Name:                                       written,
		ast.URLQueryEncode.Name:                                  written,
		ast.URLQueryEncodeObject.Name:                            written,
		ast.JWTDecodeVerify.Name:                                 keyed,
		ast.CryptoX509ParseCertificates.Name:                     keyed,
		ast.CryptoX509ParseAndVerifyCertificates.Name:            keyed,
		ast.CryptoX509ParseAndVerifyCertificatesWithOptions.Name: keyed,
		ast.CryptoX509ParseCertificateRequest.Name:               keyed,
		ast.Multiply.Name:                                        nothing,
		ast.Divide.Name:                                          nothing,
		ast.WalkBuiltin.Name:                                     nothing,
	}
	for _, b := range []*ast.Builtin{
		ast.JWTVerifyRS256, ast.JWTVerifyRS384, ast.JWTVerifyRS512, ast.JWTVerifyPS256, ast.JWTVerifyPS384, ast.JWTVerifyPS512,
		ast.JWTVerifyES256, ast.JWTVerifyES384, ast.JWTVerifyES512, ast.JWTVerifyEdDSA,
	} {
		out[b.Name] = keyed
	}
	return out
}

func nothing([]*ast.Term) error { return nil } // what it comes to is looked at

func tooLong(bytes int) error {
	return fmt.Errorf("the text would have up to %d bytes, of %d at most", bytes, maxText)
}

// text returns the text that an argument is, "" for anything else: the function says what is
// wrong with it.
func text(t *ast.Term) string {
	s, _ := t.Value.(ast.String)
	return string(s)
}

// whole returns a number without a fraction, nil for anything else.
func whole(t *ast.Term) *big.Int {
	n, ok := t.Value.(ast.Number)
	if !ok {
		return nil
	}
	f, ok := new(big.Float).SetString(string(n))
	if !ok || !f.IsInt() {
		return nil
	}
	i, _ := f.Int(nil)
	return i
}

func inRange(args []*ast.Term) error {
	from, to, step := whole(args[0]), whole(args[1]), big.NewInt(1)
	if len(args) > 2 {
		step = whole(args[2])
	}
	if from == nil || to == nil || step == nil || step.Sign() <= 0 {
		return nil
	}
	span := new(big.Int).Sub(to, from)
	if span.Abs(span).Quo(span, step).Cmp(big.NewInt(maxRange)) >= 0 {
		return fmt.Errorf("the range would have more than %d numbers", maxRange)
	}
	return nil
}

func shifted(args []*ast.Term) error {
	if by := whole(args[1]); by != nil && by.Cmp(big.NewInt(maxDigits)) > 0 {
		return fmt.Errorf("a number is shifted by %d bits at most", maxDigits)
	}
	return nil
}

// multiplied adds up the digits of the factors, and the zeros that exponents stand for.
func multiplied(args []*ast.Term) error {
	digits := 0
	err := elements(args[0], func(t *ast.Term) error {
		n, ok := t.Value.(ast.Number)
		if !ok {
			return nil
		}
		if f, ok := new(big.Float).SetString(string(n)); ok && f.Sign() != 0 {
			exponent := f.MantExp(nil)
			digits += max(exponent, -exponent) / 3
		}
		if digits > maxDigits {
			return errNumber
		}
		return nil
	})
	return err
}

// elements calls f for each element of an array or set.
func elements(t *ast.Term, f func(*ast.Term) error) error {
	switch v := t.Value.(type) {
	case *ast.Array:
		return v.Iter(f)
	case ast.Set:
		return v.Iter(f)
	}
	return nil
}

// formatted bounds what a format makes of its arguments: each verb writes one of them, and
// none longer than the longest, or as wide as it says.
func formatted(args []*ast.Term) error {
	format := text(args[0])
	verbs, longest, width := strings.Count(format, "%"), 0, 0
	err := elements(args[1], func(t *ast.Term) error {
		size, err := sizeOf(t)
		longest = max(longest, size)
		if n := whole(t); n != nil && strings.Contains(format, "*") { // it may be a width
			if !n.IsInt64() || n.Int64() > maxText || n.Int64() < -maxText {
				return tooLong(maxText + 1)
			}
			width = max(width, int(n.Int64()), -int(n.Int64()))
		}
		return err
	})
	if err != nil {
		return err
	}
	n := 0 // the number in the format that is read
	for i := range len(format) {
		if c := format[i]; c >= '0' && c <= '9' {
			n = min(10*n+int(c-'0'), maxText+1)
		} else {
			n = 0
		}
		width = max(width, n)
	}
	// A byte takes up to 10 where it is quoted, as \U0010ffff is.
	if size := len(format) + verbs*(10*longest+2*width); size > maxText {
		return tooLong(size)
	}
	return nil
}

// concatenated bounds the elements of the last argument with the separator, if there is one,
// between them.
func concatenated(args []*ast.Term) error {
	separator := 0
	if len(args) > 1 {
		separator = len(text(args[0]))
	}
	size := 0
	return elements(args[len(args)-1], func(t *ast.Term) error {
		n, err := sizeOf(t)
		if size += n + separator; err == nil && size > maxText {
			err = tooLong(size)
		}
		return err
	})
}

func replaced(args []*ast.Term) error {
	s, old, by := text(args[0]), text(args[1]), text(args[2])
	if size := len(s) + strings.Count(s, old)*len(by); size > maxText {
		return tooLong(size)
	}
	return nil
}

func replacedEach(args []*ast.Term) error {
	patterns, ok := args[0].Value.(ast.Object)
	if !ok {
		return nil
	}
	longest := 0
	patterns.Foreach(func(_, by *ast.Term) { longest = max(longest, len(text(by))) })
	s := text(args[1])
	if size := len(s) + (len(s)+1)*longest; size > maxText && longest > 1 {
		return tooLong(size)
	}
	return nil
}

// matched bounds the work of matching: what the pattern is compiled to, times the text.
func matched(pattern, of int) limit {
	return func(args []*ast.Term) error {
		size, err := sizeOfPattern(text(args[pattern]))
		if err != nil {
			return err
		}
		if length := utf8.RuneCountInString(text(args[of])) + 1; size > maxMatching/length {
			return errors.New("the pattern is too long for a text of this length")
		}
		return nil
	}
}

func matchedGroups(args []*ast.Term) error {
	if err := matched(0, 1)(args); err != nil {
		return err
	}
	groups := strings.Count(text(args[0]), "(") + 1
	if (len(text(args[1]))+1)*groups > maxElements {
		return errors.New("there may be too many matches; use a pattern with fewer groups, or a shorter text")
	}
	return nil
}

func replacedByPattern(args []*ast.Term) error {
	if err := matched(1, 0)(args); err != nil {
		return err
	}
	s, by := text(args[0]), text(args[2])
	each := len(by)
	if groups := strings.Count(by, "$"); groups > 0 {
		each += groups * len(s)
	}
	if size := len(s) + (len(s)+1)*each; size <= maxText {
		return nil
	}
	// Most replacements replace little of a text: counting is as bounded as matching is.
	return replacements(text(args[1]), s, by)
}

// sizeOfPattern returns about how many instructions a regular expression is compiled to. What
// does not parse costs nothing more.
func sizeOfPattern(pattern string) (int, error) {
	if len(pattern) > maxMatching/64 {
		return 0, errors.New("the pattern is too long")
	}
	if !strings.Contains(pattern, "{") {
		return 2*len(pattern) + 2, nil
	}
	parsed, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		return 2, nil //nolint:nilerr // the function says what is wrong with it
	}
	return instructions(parsed), nil
}

// instructions counts what an expression is compiled to, with repeats written out.
func instructions(re *syntax.Regexp) int {
	n := 2 + len(re.Rune)
	for _, sub := range re.Sub {
		n = min(n+instructions(sub), maxMatching)
	}
	if re.Op == syntax.OpRepeat {
		n = min(n*max(re.Min, re.Max, 1), maxMatching)
	}
	return n
}

func globbed(args []*ast.Term) error {
	if len(text(args[0])) > maxMatching/8/(len(text(args[2]))+1) {
		return errors.New("the pattern is too long for a text of this length")
	}
	return nil
}

func joined(args []*ast.Term) error {
	n := 0
	for _, arg := range args {
		if a, ok := arg.Value.(*ast.Array); ok {
			n += a.Len()
		}
	}
	if n > maxElements {
		return fmt.Errorf("the array would have %d elements, of %d at most", n, maxElements)
	}
	return nil
}

func paired(args []*ast.Term) error {
	pairs := 1
	for _, arg := range args {
		switch v := arg.Value.(type) {
		case *ast.Array:
			pairs *= v.Len()
		case ast.Set:
			pairs *= v.Len()
		case ast.Object:
			pairs *= v.Len()
		}
		if pairs > maxPairs {
			return fmt.Errorf("more than %d pairs would be compared", maxPairs)
		}
	}
	return nil
}

func written(args []*ast.Term) error {
	_, err := sizeOf(args[0])
	return err
}

func keyed(args []*ast.Term) error {
	for i, arg := range args {
		if i == 0 && len(args) > 1 { // a token, or what is signed, is hashed; but a chain of certificates is not
			if !strings.HasPrefix(text(arg), "-----BEGIN") && len(text(arg)) <= maxText {
				continue
			}
		}
		if n, err := sizeOf(arg); err != nil || n > maxKey {
			return fmt.Errorf("keys and certificates may have %d bytes", maxKey)
		}
	}
	return nil
}
