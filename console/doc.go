// Package console is the administrator's web pages: rendered here, a client of the gRPC
// API like everyone else, and served beside the REST face below /console/.
//
// # A page
//
// A page is three things that lie side by side: users.go has its handlers and what it
// shows (its view), users.html its template, and users_test.go its tests. Its rows stand
// in the table of routes (routes.go), its entry of the navigation in the table of
// sections (layout.go). A handler takes a visit, asks the core, and shows a page:
//
//	func showThing(v *visit) error {
//		out, err := v.provisioning.GetThing(v.Context(), &musterv1.GetThingRequest{Id: v.PathValue("id")})
//		if err != nil {
//			return err // becomes a page that says what to do: fail.go
//		}
//		return v.show("thing", page{Title: "Thing", Section: "things", Data: thingView{…}})
//	}
//
// The context of a visit carries the session's secret and the request's id as metadata,
// so that every call is made as the operator, who may do what the core allows and no more.
// Buttons for what he cannot do are left out: {{if .Can "write"}}.
//
// The template defines "content", and gets a view: .Title, .Session, .Can, .Data. What
// several pages look alike in stands in parts.html; what functions there are in funcs.go.
// Style by the classes of assets/console.css, which has no rule for one page alone if it
// can be said for all: .card, .table, .facts, .badge, .button, .field, .empty, .note.
//
// # What works without JavaScript
//
// Everything, where it can. Attributes in the page ask assets/console.js for more:
//
//   - <form data-live="#results"> submits itself while somebody types, and puts the
//     fragment "results" of the answer (the template of that name) into #results.
//   - <a data-dialog href="…"> opens the page as a dialog: its fragment "dialog". A
//     question before a deed is a GET of the deed's own URL, shown by visit.ask.
//   - <div data-stream="URL"> gets what visit.stream sends, as it comes; an element within
//     it with data-event="name" gets the events of that name.
//   - <button data-copy="text"> copies; <time> is told anew as it passes.
//   - <body data-…> nothing: no script and no style stands in a page, the policy of its
//     content (headers.go) forbids both, and the style attribute too.
//
// # Deeds
//
// A deed is a POST of a form. Another site cannot make one (http.CrossOriginProtection).
// It ends with visit.done: a message, and a redirect to a page that shows the outcome.
// Only what is shown once, such as a new secret, is shown by the POST itself.
//
// # Tests
//
// Each page has a row in the table of console/pages_test.go; the row alone gets it its
// screenshots, axe, and the checks that it loads nothing from outside, is not wider than
// a narrow screen, and writes no error to the browser's console. Clicks are a few lines
// with test/browser.
package console
