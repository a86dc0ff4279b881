package console

import (
	"net/http"
	"net/url"
	"strings"

	"google.golang.org/protobuf/types/known/fieldmaskpb"

	musterv1 "github.com/muster-scim/muster/gen/muster/v1"
)

const webhooksPath = settingsPath + "/webhooks"

// maxLettersShown is how many dead letters a page shows.
const maxLettersShown = 50

// A webhookRow is a subscription as pages tell it.
type webhookRow struct {
	*musterv1.Subscription

	Path string
}

func webhookRowOf(s *musterv1.Subscription) webhookRow {
	return webhookRow{s, webhooksPath + "/" + url.PathEscape(s.GetName())}
}

// Active, Paused and Failed are its states.
func (r webhookRow) Active() bool  { return r.GetState() == musterv1.Subscription_STATE_ACTIVE }
func (r webhookRow) Stopped() bool { return r.GetState() == musterv1.Subscription_STATE_PAUSED }
func (r webhookRow) Failed() bool  { return r.GetState() == musterv1.Subscription_STATE_FAILED }

// Full tells whether its tokens have the values.
func (r webhookRow) Full() bool { return r.GetDetail() == musterv1.Subscription_DETAIL_FULL }

func listWebhooks(v *visit) error {
	out, err := v.subscriptions.ListSubscriptions(v.Context(), &musterv1.ListSubscriptionsRequest{})
	if err != nil {
		return err
	}
	var rows []webhookRow
	for _, s := range out.GetSubscriptions() {
		rows = append(rows, webhookRowOf(s))
	}
	return v.showSetting("webhooks", "Webhooks", webhooksPath, rows)
}

// A webhookForm is what somebody enters of a subscription.
type webhookForm struct {
	Name, Endpoint, Authorization, Credential, Detail, Audience string
	Poll                                                        bool
	Problem                                                     string
}

func newWebhook(v *visit) error {
	return v.showWebhookForm(&webhookForm{Poll: v.URL.Query().Get("by") == "poll"}, nil)
}

func (v *visit) showWebhookForm(f *webhookForm, problem error) error {
	p := page{Title: "Another webhook", Section: "settings", Crumbs: settingCrumbs(settingTabs[3]), Data: f}
	if problem != nil {
		f.Problem, p.Status = messageOf(problem), http.StatusBadRequest
	}
	return v.show("webhook-form", p)
}

func createWebhook(v *visit) error {
	text := func(name string) string { return strings.TrimSpace(v.PostFormValue(name)) }
	f := &webhookForm{
		Name: text("name"), Endpoint: text("endpoint"), Authorization: text("authorization"), Credential: text("credential"),
		Detail: text("detail"), Audience: text("audience"), Poll: text("by") == "poll",
	}
	s := &musterv1.Subscription{Name: f.Name, Audience: words(f.Audience), Detail: musterv1.Subscription_DETAIL_NOTICE}
	if f.Detail == "full" {
		s.Detail = musterv1.Subscription_DETAIL_FULL
	}
	if f.Poll {
		s.Delivery = &musterv1.Subscription_Poll{Poll: &musterv1.PollDelivery{Credential: f.Credential}}
	} else {
		s.Delivery = &musterv1.Subscription_Push{Push: &musterv1.PushDelivery{Endpoint: f.Endpoint, Authorization: f.Authorization}}
	}
	out, err := v.subscriptions.CreateSubscription(v.Context(), &musterv1.CreateSubscriptionRequest{Subscription: s})
	if isInput(err) {
		return v.showWebhookForm(f, err)
	}
	if err != nil {
		return err
	}
	return v.done(webhookRowOf(out.GetSubscription()).Path, f.Name+" is told of changes from now on.")
}

// webhookView is one subscription and what it could not deliver.
type webhookView struct {
	webhookRow

	Letters     []*musterv1.DeadLetter
	MoreLetters bool
}

func showWebhook(v *visit) error {
	out, err := v.subscriptions.GetSubscription(v.Context(), &musterv1.GetSubscriptionRequest{Subscription: v.PathValue("name")})
	if err != nil {
		return err
	}
	view := webhookView{webhookRow: webhookRowOf(out.GetSubscription())}
	letters, err := v.subscriptions.ListDeadLetters(v.Context(), &musterv1.ListDeadLettersRequest{Subscription: view.GetName(), PageSize: maxLettersShown})
	if err != nil {
		return err
	}
	view.Letters, view.MoreLetters = letters.GetDeadLetters(), letters.GetNextPageToken() != ""
	return v.show("webhook", page{Title: view.GetName(), Section: "settings", Crumbs: settingCrumbs(settingTabs[3]), Data: view})
}

// webhookPath is the page of the subscription that the path names.
func (v *visit) webhookPath() string { return webhooksPath + "/" + url.PathEscape(v.PathValue("name")) }

func pauseWebhook(v *visit) error {
	paused := v.PostFormValue("paused") != ""
	_, err := v.subscriptions.UpdateSubscription(v.Context(), &musterv1.UpdateSubscriptionRequest{
		Subscription: &musterv1.Subscription{Name: v.PathValue("name"), Paused: paused}, UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"paused"}},
	})
	if err != nil {
		return err
	}
	done := " goes on."
	if paused {
		done = " waits. Changes are kept for it as long as the change log keeps them."
	}
	return v.done(v.webhookPath(), v.PathValue("name")+done)
}

// askWebhookDeed asks before a deed on a subscription.
func (v *visit) askWebhookDeed(title string, q question) error {
	q.Title, q.Back = title, v.webhookPath()
	return v.ask(page{Section: "settings", Crumbs: append(settingCrumbs(settingTabs[3]), crumb{v.PathValue("name"), q.Back})}, q)
}

func retryLetters(v *visit) error {
	out, err := v.subscriptions.RetryDeadLetters(v.Context(), &musterv1.RetryDeadLettersRequest{Subscription: v.PathValue("name")})
	if err != nil {
		return err
	}
	return v.done(v.webhookPath(), plural(out.GetDeadLetters(), "event is", "events are")+" delivered again.")
}

func askDiscardLetters(v *visit) error {
	return v.askWebhookDeed("Give up all dead letters?", question{Button: "Give them up", Danger: true, Text: "The receiver will never be told of these events.", Points: []string{"The changes themselves stay as they are."}})
}

func discardLetters(v *visit) error {
	out, err := v.subscriptions.DiscardDeadLetters(v.Context(), &musterv1.DiscardDeadLettersRequest{Subscription: v.PathValue("name")})
	if err != nil {
		return err
	}
	return v.done(v.webhookPath(), plural(out.GetDeadLetters(), "event is", "events are")+" given up.")
}

func askSkip(v *visit) error {
	return v.askWebhookDeed("Skip to the present?", question{Button: "Skip", Danger: true, Text: "What is pending is not delivered. It goes on with the changes from now on, also where it had failed.", Points: []string{"Dead letters stay."}})
}

func skip(v *visit) error {
	if _, err := v.subscriptions.ReplaySubscription(v.Context(), &musterv1.ReplaySubscriptionRequest{Subscription: v.PathValue("name")}); err != nil {
		return err
	}
	return v.done(v.webhookPath(), v.PathValue("name")+" goes on with the changes from now on.")
}

func askDeleteWebhook(v *visit) error {
	return v.askWebhookDeed("Delete "+v.PathValue("name")+"?", question{Button: "Delete", Danger: true, Text: "The receiver is told of nothing any more.", Points: []string{"Its dead letters are gone, too."}})
}

func deleteWebhook(v *visit) error {
	if _, err := v.subscriptions.DeleteSubscription(v.Context(), &musterv1.DeleteSubscriptionRequest{Subscription: v.PathValue("name")}); err != nil {
		return err
	}
	return v.done(webhooksPath, v.PathValue("name")+" is deleted.")
}
