package scim

import (
	"maps"
	"math"
	"net/url"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/structpb"

	musterv1 "github.com/muster-scim/muster/gen/muster/v1"
)

// DecodeJSON reads a resource as a client writes it, for a POST or PUT. Names
// are taken in any letter case; unknown and read-only attributes are passed over
// (but for id, which a PUT must be able to compare); null, an empty list and an
// empty string mean unassigned. What clients are known to write differently is
// understood too: booleans as strings, one object for a list of one, a bare
// value for a complex attribute with a value, names qualified by their schema.
//
// The error is InvalidSyntax for text that is not JSON, InvalidValue for a value of
// a wrong type, and PayloadTooLarge for more than MaxValues.
func (rt *ResourceType) DecodeJSON(data []byte) (Resource, error) {
	in := newJSONReader(data, MaxValues)
	r := rt.New()
	d := decoder{rt: rt, in: in, keep: true}
	if k := in.peek(); k != kindObject && k != kindNone {
		in.fail(Errorf(InvalidSyntax, "the body is %s, not a JSON object", k))
	}
	d.resource(objectOf(r))
	in.end()
	if in.fault != nil {
		return nil, in.fault
	}
	return r, nil
}

// DecodeRegistered reads a resource of a type that was registered at run time, for
// a POST or PUT, where its attributes are not known: Prepare reads them. The error
// is InvalidSyntax.
func DecodeRegistered(data []byte) (*musterv1.Resource, error) {
	in := newJSONReader(data, MaxValues)
	if k := in.peek(); k != kindObject && k != kindNone {
		in.fail(Errorf(InvalidSyntax, "the body is %s, not a JSON object", k))
	}
	value := readValue(in)
	in.end()
	if in.fault != nil {
		return nil, in.fault
	}
	return &musterv1.Resource{Attributes: value.GetStructValue()}, nil
}

// DecodeDocument reads what AppendDocument wrote.
func (rt *ResourceType) DecodeDocument(data []byte) (Resource, error) {
	in := newJSONReader(data, len(data))
	r := rt.New()
	d := decoder{rt: rt, in: in, stored: true}
	d.resource(objectOf(r))
	if in.fault != nil {
		return nil, in.fault
	}
	return r, nil
}

// A decoder reads JSON values into objects. Errors stick to its source.
type decoder struct {
	rt *ResourceType
	in source
	// stored is set for our own documents: read-only attributes count.
	stored bool
	// keep is set where rt may not know all that is registered: see unknownSchema.
	keep bool
}

// resource reads the members of a resource into o.
func (d *decoder) resource(o object) {
	if d.in.peek() != kindObject {
		return
	}
	d.in.open()
	for key, more := d.in.next(); more; key, more = d.in.next() {
		d.member(o, key)
	}
}

// member reads the value of one top-level member.
func (d *decoder) member(o object, key string) {
	if a := d.rt.byName.find(key); a != nil {
		d.attribute(o, a)
		return
	}
	if strings.EqualFold(key, d.rt.Schema.URN) {
		d.resource(o)
		return
	}
	if !strings.ContainsAny(key, ".:") {
		skipValue(d.in) // unknown
		return
	}
	path, err := d.rt.ParsePath(key) // name.givenName, URN:attribute
	if err != nil || path.Filter != nil || path.Attr.Parent != nil && path.Attr.Parent.MultiValued {
		d.unknownSchema(o, key)
		return
	}
	d.attribute(o.locate(path.Attr), path.Attr)
}

// unknownSchema keeps what may be of an extension that is registered, as it is:
// whoever knows the tenant's schemas reads it in adopt, or drops it. key is the URN
// of a schema, or that of an attribute.
func (d *decoder) unknownSchema(o object, key string) {
	if !d.keep || !hasPrefixFold(key, "urn:") {
		skipValue(d.in)
		return
	}
	value := readValue(d.in)
	fields := value.GetStructValue().GetFields()
	if value.GetStructValue() == nil {
		colon := strings.LastIndexByte(key, ':')
		key, fields = key[:colon], map[string]*structpb.Value{key[colon+1:]: value}
	}
	ext := object{v: o.v}.makeRegistered(&Attribute{Name: key, held: asExtension, field: d.rt.registry}).s
	if ext.Fields == nil {
		ext.Fields = make(map[string]*structpb.Value)
	}
	maps.Copy(ext.GetFields(), fields)
}

func hasPrefixFold(s, prefix string) bool {
	return len(s) >= len(prefix) && strings.EqualFold(s[:len(prefix)], prefix)
}

// ignores tells whether what a client writes for the attribute does not count.
func (d *decoder) ignores(a *Attribute) bool {
	return !d.stored && (a.ReadOnly() && a != d.rt.id || a == d.rt.schemas)
}

// attribute reads the value of a into o, in place of what was there.
func (d *decoder) attribute(o object, a *Attribute) {
	if d.ignores(a) {
		d.ignored(o, a)
		return
	}
	o.clear(a)
	switch {
	case d.in.peek() == kindNull:
		d.in.null()
	case a.MultiValued:
		d.elements(o, a)
	case d.in.peek() == kindArray:
		d.onlyElement(o, a)
	default:
		d.single(o, a)
	}
}

// ignored reads past a value that does not count. Of a $ref it takes the id, the
// end of the URI, for an element that says its value in no other way.
func (d *decoder) ignored(o object, a *Attribute) {
	if !a.Computed || a.Parent.SubAttribute("value") == nil || d.in.peek() != kindString {
		skipValue(d.in)
		return
	}
	value, uri := a.Parent.SubAttribute("value"), d.in.text()
	id, err := url.PathUnescape(uri[strings.LastIndexByte(uri, '/')+1:])
	if err != nil || value.ReadOnly() || o.count(value) > 0 {
		return
	}
	if err := o.setText(value, id); err != nil {
		d.in.fail(err)
	}
}

// elements reads a list, or one value in place of a list of one.
func (d *decoder) elements(o object, a *Attribute) {
	if d.in.peek() != kindArray {
		d.element(o, a)
		return
	}
	d.in.open()
	for _, more := d.in.next(); more; _, more = d.in.next() {
		if d.in.peek() == kindNull {
			d.in.null()
			continue
		}
		d.element(o, a)
	}
}

func (d *decoder) element(o object, a *Attribute) {
	if a.Type != Complex {
		d.simple(o, a)
		return
	}
	i := o.count(a)
	if d.complex(o.grow(a), a, o) {
		o.keep(a, func(j int) bool { return j != i })
	}
}

// onlyElement reads a list for a singular attribute: clients send [x] for x.
func (d *decoder) onlyElement(o object, a *Attribute) {
	d.in.open()
	for n := 0; ; n++ {
		if _, more := d.in.next(); !more {
			return
		}
		if n > 0 || a.Type != Complex {
			d.in.fail(Errorf(InvalidValue, "%s has one value, not a list", a.Path).At(a.Path))
			return
		}
		d.single(o, a)
	}
}

func (d *decoder) single(o object, a *Attribute) {
	if a.Type != Complex {
		d.simple(o, a)
		return
	}
	d.complex(o.make(a), a, o)
}

// complex reads an object into o, a value of a, or a bare value for an
// attribute whose sub-attribute "value" says it all. parent holds a. It returns
// whether the object was no value itself, but a wrapper around elements.
func (d *decoder) complex(o object, a *Attribute, parent object) (wrapper bool) {
	if k := d.in.peek(); k != kindObject {
		if value := a.SubAttribute("value"); value != nil && k == kindString {
			d.attribute(o, value)
			return false
		}
		d.wrongType(a, k)
		return false
	}
	d.in.open()
	for key, more := d.in.next(); more; key, more = d.in.next() {
		switch sub := a.subByName.find(key); {
		case sub != nil:
			d.attribute(o, sub)
		case a.MultiValued && strings.EqualFold(key, a.Name): // {"members":[…]} for […]
			d.elements(parent, a)
			wrapper = true
		case a.isExtension() && d.rt.extension(key) != nil: // RFC 9944 puts extensions into one
			d.attribute(parent, d.rt.extension(key))
		default:
			skipValue(d.in)
		}
	}
	return wrapper && !o.hasContent(a)
}

// simple reads a value that is not complex.
func (d *decoder) simple(o object, a *Attribute) {
	switch k := d.in.peek(); {
	case a.Type == Boolean:
		d.boolean(o, a, k)
	case a.Type == Integer, a.Type == Decimal:
		d.number(o, a, k)
	case k != kindString:
		d.wrongType(a, k)
	case a.Type == DateTime:
		t, ok := parseTime(d.in.text())
		if !ok {
			d.in.fail(Errorf(InvalidValue, "%s is not a date and time such as 2026-01-31T08:00:00Z", a.Path).At(a.Path))
			return
		}
		o.setTime(a, t)
	default:
		if err := o.setText(a, d.in.text()); err != nil {
			d.in.fail(err)
		}
	}
}

// boolean reads true, false, or one of them as a string in any letter case.
func (d *decoder) boolean(o object, a *Attribute, k kind) {
	switch k {
	case kindBool:
		o.setBoolean(a, d.in.boolean())
	case kindString:
		b, ok := parseBoolean(d.in.text())
		if !ok {
			d.in.fail(Errorf(InvalidValue, "%s is true or false", a.Path).At(a.Path))
			return
		}
		o.setBoolean(a, b)
	default:
		d.wrongType(a, k)
	}
}

// number reads a number, or one as a string: clients that know no types send all
// as strings.
func (d *decoder) number(o object, a *Attribute, k kind) {
	var text string
	switch k {
	case kindNumber:
		text = d.in.number()
	case kindString:
		if text = strings.TrimSpace(d.in.text()); text == "" {
			return // unassigned
		}
	default:
		d.wrongType(a, k)
		return
	}
	n, ok := parseNumber(text)
	switch {
	case !ok:
		d.in.fail(Errorf(InvalidValue, "%s is a number", a.Path).At(a.Path))
	case a.Type == Integer && (n != math.Trunc(n) || math.Abs(n) > MaxInteger):
		d.in.fail(Errorf(InvalidValue, "%s is a whole number of at most 2 to the power of 53", a.Path).At(a.Path))
	default:
		o.setNumber(a, n)
	}
}

// parseBoolean understands the words in any letter case.
func parseBoolean(s string) (b, ok bool) {
	switch {
	case strings.EqualFold(s, "true"):
		return true, true
	case strings.EqualFold(s, "false"):
		return false, true
	}
	return false, false
}

// parseNumber reads a number as JSON has it (RFC 8259 section 6).
func parseNumber(text string) (n float64, ok bool) {
	if text == "" {
		return 0, false
	}
	r := jsonReader{in: text}
	literal := r.number()
	n, err := strconv.ParseFloat(literal, 64)
	return n + 0, err == nil && r.fault == nil && r.pos == len(text) // + 0: there is one zero
}

// parseTime reads a date and time. Its year must have four digits in UTC too, so
// that it can be written again.
func parseTime(text string) (t time.Time, ok bool) {
	t, err := time.Parse(time.RFC3339, text)
	year := t.UTC().Year()
	return t, err == nil && 1 <= year && year <= 9999
}

func (d *decoder) wrongType(a *Attribute, k kind) {
	if k == kindNone {
		return // the source has its error already
	}
	d.in.fail(Errorf(InvalidValue, "%s is %s, not %s", a.Path, typeWord(a.Type), k).At(a.Path))
}

var typeWords = map[Type]string{
	String: "a string", Boolean: "a boolean", Decimal: "a number", Integer: "a whole number", DateTime: "a date and time as a string",
	Binary: "base64 in a string", Reference: "a URI in a string", Complex: "an object",
}

func typeWord(t Type) string { return typeWords[t] }
