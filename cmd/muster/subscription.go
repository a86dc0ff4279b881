package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	musterv1 "github.com/muster-scim/muster/gen/muster/v1"
)

func subscriptionCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "subscription",
		Short: "Tell other systems of changes by signed security event tokens",
		Long: `Make, list, change and delete subscriptions. A receiver is told of changes by signed
security event tokens (RFC 9967): Muster sends them to it (push), or it fetches them
(poll). docs/events.md tells the receiver's engineer what they look like.` + whereHelp,
		Example: `  muster subscription create hr --push https://hr.example.com/events --authorization-file hr.txt
  muster subscription create portal --poll --detail full --type User
  muster subscription list`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(subscriptionCreateCommand(), subscriptionListCommand(), subscriptionGetCommand(), subscriptionUpdateCommand(), subscriptionDeleteCommand(),
		subscriptionReplayCommand(), deadLettersCommand(), deadLettersRetryCommand(), deadLettersDiscardCommand(), rotateKeyCommand())
	return cmd
}

// A subscriptionCall is what a command asks of SubscriptionService.
type subscriptionCall struct {
	adminCall[musterv1.SubscriptionServiceClient]
}

// withSubscriptions gives a command what it does, and the flags of withCall.
func withSubscriptions(cmd *cobra.Command, do func(ctx context.Context, c subscriptionCall) error) *cobra.Command {
	return withCall(cmd, musterv1.NewSubscriptionServiceClient, func(ctx context.Context, c adminCall[musterv1.SubscriptionServiceClient]) error {
		return do(ctx, subscriptionCall{c})
	})
}

// addSubscriptionSettings gives a command the flags of what can be set at any time.
func addSubscriptionSettings(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.String("push", "", "URL that tokens are posted to")
	flags.String("authorization-file", "", "push: file with the value of the header Authorization that the receiver wants")
	flags.String("credential", "", "poll: the name of the only credential that may fetch them")
	flags.StringSlice("type", nil, "resource types, such as User; none: all")
	flags.StringSlice("attribute", nil, "attributes of which an update must change one, such as active; none: any")
	flags.StringSlice("group", nil, "ids of groups: changes of these alone; none: any")
	flags.String("detail", "notice", "notice: which attributes changed, or full: their values, too")
	flags.StringSlice("audience", nil, "the claim aud (default the URL of push; of poll TENANT/NAME)")
	flags.Bool("paused", false, "whether it waits")
}

// subscriptionOfFlags is what the flags say, and which fields they set.
func subscriptionOfFlags(cmd *cobra.Command, tenant, name string) (*musterv1.Subscription, *fieldmaskpb.FieldMask, error) {
	f := &credentialFlags{cmd: cmd, mask: &fieldmaskpb.FieldMask{}}
	s := &musterv1.Subscription{Tenant: tenant, Name: name, Filter: &musterv1.ChangeFilter{}}
	endpoint, push := f.text("push", "push.endpoint")
	authorization, secret := f.file("authorization-file", "push.authorization")
	if push || secret {
		s.Delivery = &musterv1.Subscription_Push{Push: &musterv1.PushDelivery{Endpoint: endpoint, Authorization: strings.TrimSpace(string(authorization))}}
	}
	if credential, given := f.text("credential", "poll.credential"); given {
		if s.Delivery != nil {
			return nil, nil, errors.New("--credential is of poll, and --push and --authorization-file of push")
		}
		s.Delivery = &musterv1.Subscription_Poll{Poll: &musterv1.PollDelivery{Credential: credential}}
	}
	before := len(f.mask.GetPaths())
	s.Filter.ResourceTypes, _ = f.list("type", "filter")
	s.Filter.Attributes, _ = f.list("attribute", "filter")
	s.Filter.Groups, _ = f.list("group", "filter")
	if len(f.mask.GetPaths()) > before {
		f.mask.Paths = append(f.mask.Paths[:before], "filter")
	}
	s.Audience, _ = f.list("audience", "audience")
	if text, given := f.text("detail", "detail"); given && f.err == nil {
		s.Detail, f.err = parseWord[musterv1.Subscription_Detail]("--detail", text)
	}
	if f.given("paused", "paused") && f.err == nil {
		s.Paused, f.err = cmd.Flags().GetBool("paused")
	}
	return s, f.mask, f.err
}

// parsePosition reads where to begin; nil: now.
func parsePosition(text string) (*int64, error) {
	switch text {
	case "now":
		return nil, nil //nolint:nilnil // absent is now
	case "beginning":
		return new(int64), nil
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 0 {
		return nil, fmt.Errorf("--from is %q; use now, beginning, or the position of a change", text)
	}
	return &n, nil
}

const fromHelp = "now, beginning (of what is kept), or the position of the last change that the receiver knows"

func subscriptionCreateCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "create NAME --push URL | --poll",
		Short: "Make a subscription",
		Long: `Make a subscription. With --push Muster posts each token to the URL; with --poll the
receiver fetches them at /events/v1/subscriptions/NAME/poll, with a credential that has
the scope scim:read.`,
		Example: `  muster subscription create hr --push https://hr.example.com/events --authorization-file hr.txt
  muster subscription create leavers --push https://vpn.example.com/set --type User --attribute active
  muster subscription create portal --poll --credential portal --detail full --from beginning`,
		Args: cobra.ExactArgs(1),
	}
	poll := cmd.Flags().Bool("poll", false, "the receiver fetches the tokens")
	addSubscriptionSettings(cmd)
	from := cmd.Flags().String("from", "now", "where it begins: "+fromHelp)
	return withSubscriptions(cmd, func(ctx context.Context, c subscriptionCall) error {
		asked, _, err := subscriptionOfFlags(cmd, c.tenant, c.args[0])
		if err != nil {
			return err
		}
		if *poll == (asked.GetPush() != nil) {
			return errors.New("give --push with a URL, or --poll")
		}
		if asked.GetDelivery() == nil {
			asked.Delivery = &musterv1.Subscription_Poll{Poll: &musterv1.PollDelivery{}}
		}
		position, err := parsePosition(*from)
		if err != nil {
			return err
		}
		made, err := c.client.CreateSubscription(ctx, &musterv1.CreateSubscriptionRequest{Subscription: asked, AfterPosition: position})
		if err != nil {
			return err
		}
		return c.show(made.GetSubscription())
	})
}

func subscriptionListCommand() *cobra.Command {
	return withSubscriptions(&cobra.Command{Use: "list", Short: "List a tenant's subscriptions, and how far they are", Args: cobra.NoArgs}, func(ctx context.Context, c subscriptionCall) error {
		all, err := c.client.ListSubscriptions(ctx, &musterv1.ListSubscriptionsRequest{Tenant: c.tenant})
		if err != nil {
			return err
		}
		if c.asJSON {
			return printList(c.cmd.OutOrStdout(), all.GetSubscriptions())
		}
		var rows [][]string
		for _, s := range all.GetSubscriptions() {
			to := s.GetPush().GetEndpoint()
			if s.GetPush() == nil {
				to = "poll"
			}
			rows = append(rows, []string{s.GetName(), to, word(s.GetDetail()), word(s.GetState()), strconv.FormatInt(s.GetLag(), 10), strconv.Itoa(int(s.GetDeadLetters())),
				forPeople(timeOf(s.GetLastSuccessTime()), "never"), s.GetLastError()})
		}
		return printTable(c.cmd.OutOrStdout(), "NAME | TO | DETAIL | STATE | LAG | DEAD | LAST SUCCESS | LAST ERROR", rows)
	})
}

func subscriptionGetCommand() *cobra.Command {
	return withSubscriptions(&cobra.Command{Use: "get NAME", Short: "Show a subscription, but for its authorization", Args: cobra.ExactArgs(1)}, func(ctx context.Context, c subscriptionCall) error {
		out, err := c.client.GetSubscription(ctx, &musterv1.GetSubscriptionRequest{Tenant: c.tenant, Subscription: c.args[0]})
		if err != nil {
			return err
		}
		return c.show(out.GetSubscription())
	})
}

func (c subscriptionCall) show(s *musterv1.Subscription) error {
	if c.asJSON {
		return printJSON(c.cmd.OutOrStdout(), s)
	}
	authorization, delivery := "", "poll"
	if s.GetPush() != nil {
		delivery = "push"
	}
	if s.GetPush().GetHasAuthorization() {
		authorization = "kept, and never shown"
	}
	failed := ""
	if s.GetLastError() != "" {
		failed = forPeople(timeOf(s.GetLastErrorTime()), "") + ": " + s.GetLastError()
	}
	return printFacts(c.cmd.OutOrStdout(), [][2]string{
		{"tenant", s.GetTenant()}, {"name", s.GetName()}, {"delivery", delivery}, {"endpoint", s.GetPush().GetEndpoint()}, {"authorization", authorization},
		{"credential", s.GetPoll().GetCredential()}, {"types", strings.Join(s.GetFilter().GetResourceTypes(), ", ")}, {"attributes", strings.Join(s.GetFilter().GetAttributes(), ", ")},
		{"groups", strings.Join(s.GetFilter().GetGroups(), ", ")}, {"detail", word(s.GetDetail())}, {"audience", strings.Join(s.GetAudience(), ", ")},
		{"state", word(s.GetState())}, {"failure", s.GetFailure()}, {"position", strconv.FormatInt(s.GetPosition(), 10)}, {"lag", strconv.FormatInt(s.GetLag(), 10)},
		{"oldest pending", forPeople(timeOf(s.GetOldestPendingTime()), "")}, {"dead letters", strconv.Itoa(int(s.GetDeadLetters()))},
		{"last success", forPeople(timeOf(s.GetLastSuccessTime()), "never")}, {"last error", failed},
		{"last poll", forPeople(timeOf(s.GetLastPollTime()), "")}, {"created", forPeople(timeOf(s.GetCreateTime()), "")},
	})
}

func subscriptionUpdateCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "update NAME",
		Short: "Change, pause or resume a subscription",
		Long:  "Change what is given as flags of a subscription; all else stays, but the three flags of the filter change it as a whole.",
		Example: `  muster subscription update hr --paused
  muster subscription update hr --paused=false
  muster subscription update hr --authorization-file new.txt`,
		Args: cobra.ExactArgs(1),
	}
	addSubscriptionSettings(cmd)
	return withSubscriptions(cmd, func(ctx context.Context, c subscriptionCall) error {
		asked, mask, err := subscriptionOfFlags(cmd, c.tenant, c.args[0])
		if err != nil {
			return err
		}
		if len(mask.GetPaths()) == 0 {
			return fmt.Errorf("say what to set, such as --paused; see `%s --help`", cmd.CommandPath())
		}
		out, err := c.client.UpdateSubscription(ctx, &musterv1.UpdateSubscriptionRequest{Subscription: asked, UpdateMask: mask})
		if err != nil {
			return err
		}
		return c.show(out.GetSubscription())
	})
}

func subscriptionDeleteCommand() *cobra.Command {
	return withSubscriptions(&cobra.Command{Use: "delete NAME", Short: "Remove a subscription with its dead letters", Args: cobra.ExactArgs(1)}, func(ctx context.Context, c subscriptionCall) error {
		out, err := c.client.DeleteSubscription(ctx, &musterv1.DeleteSubscriptionRequest{Tenant: c.tenant, Subscription: c.args[0]})
		if err != nil {
			return err
		}
		return c.tell(out, "the subscription %s is deleted", c.args[0])
	})
}

func subscriptionReplayCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "replay NAME --from POSITION",
		Short: "Send the changes after a position, again where they were sent before",
		Long: `Send the changes after a position, again where they were sent before; the tokens have
the same jti as before. A subscription that has failed goes on by this.`,
		Example: `  muster subscription replay hr --from beginning
  muster subscription replay hr --from 1042
  muster subscription replay hr --from now`,
		Args: cobra.ExactArgs(1),
	}
	from := cmd.Flags().String("from", "", fromHelp)
	_ = cmd.MarkFlagRequired("from") // the flag is there
	return withSubscriptions(cmd, func(ctx context.Context, c subscriptionCall) error {
		position, err := parsePosition(*from)
		if err != nil {
			return err
		}
		out, err := c.client.ReplaySubscription(ctx, &musterv1.ReplaySubscriptionRequest{Tenant: c.tenant, Subscription: c.args[0], AfterPosition: position})
		if err != nil {
			return err
		}
		return c.show(out.GetSubscription())
	})
}
