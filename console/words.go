package console

import (
	"fmt"
	"net/http"
	"strings"

	"golang.org/x/text/language"
)

// words are the texts of the console, in Norwegian (bokmål) and English. Each page has all of its texts from here.
var words = map[string][2]string{
	// Every page.
	"skip":          {"Til innholdet", "Skip to content"},
	"nav":           {"Sider", "Pages"},
	"now":           {"Nå", "Now"},
	"find":          {"Finn", "Find"},
	"blocked":       {"Sperret", "Blocked"},
	"organisations": {"Organisasjoner", "Organisations"},
	"logout":        {"Logg ut", "Log out"},
	"language":      {"English", "Norsk"},
	"never":         {"aldri", "never"},
	"unknown":       {"ikke kjent", "not known"},
	"reason":        {"Grunn", "Reason"},
	"reasonHelp":    {"Står i loggen. Ikke skriv nummer eller navn.", "It is in the log. Leave out numbers and names."},
	"sinceStart":    {"Siden oppstart %s.", "Since the start at %s."},

	// Logging in.
	"login":        {"Logg inn", "Log in"},
	"name":         {"Brukernavn", "User name"},
	"password":     {"Passord", "Password"},
	"loginWith":    {"Logg inn med %s", "Log in with %s"},
	"loginWrong":   {"Feil brukernavn eller passord.", "The user name or the password is wrong."},
	"loginWait":    {"For mange forsøk. Vent %s og prøv igjen.", "Too many attempts. Wait %s and try again."},
	"loginFailed":  {"Innloggingen mislyktes. Prøv igjen.", "The login failed. Try again."},
	"loginNoRole":  {"Du har ingen rolle her. Be driften om en.", "You have no role here. Ask the operators for one."},
	"loginGone":    {"Innloggingstjenesten svarer ikke. Prøv igjen om litt.", "The login service does not answer. Try again in a moment."},
	"loggedInGoOn": {"Gå til konsollen", "Go on to the console"},

	// Errors.
	"error":      {"Det gikk ikke", "That did not work"},
	"notFound":   {"Finnes ikke", "Not found"},
	"noPage":     {"Det er ingenting her.", "There is nothing here."},
	"forbidden":  {"Ingen tilgang", "No access"},
	"needsRole":  {"Dette krever rollen %s. Be driften om den.", "This needs the role %s. Ask the operators for it."},
	"tooLarge":   {"Skjemaet er for stort.", "The form is too large."},
	"cantRead":   {"Lageret svarer ikke nå. Prøv igjen om litt.", "The store does not answer now. Try again in a moment."},
	"needReason": {"Skriv en grunn.", "Give a reason."},

	// Now.
	"allWell":         {"Alt virker: meldinger går ut.", "All is well: messages go out."},
	"partlyWell":      {"Meldinger går ut, men se på %s.", "Messages go out, but look at %s."},
	"notReady":        {"Meldinger går ikke ut.", "Messages do not go out."},
	"only.SMS":        {"E-post går ikke ut. SMS gjør det.", "E-mail does not go out. SMS does."},
	"only.Email":      {"SMS går ikke ut. E-post gjør det.", "SMS do not go out. E-mail does."},
	"messages":        {"Meldinger", "Messages"},
	"carriers":        {"Operatører og e-postreléer", "Carriers and mail relays"},
	"state":           {"Tilstand", "State"},
	"since":           {"Siden", "Since"},
	"lastSuccess":     {"Siste vellykkede", "Last success"},
	"lastReceipt":     {"Siste kvittering", "Last receipt"},
	"nextAttempt":     {"Neste forsøk", "Next attempt"},
	"inFlight":        {"Underveis", "In flight"},
	"window":          {"%d av %d", "%d of %d"},
	"orders":          {"Ordrer", "Orders"},
	"ordersFlight":    {"%d ordrer underveis", "%d orders in flight"},
	"minutes5":        {"Siste 5 minutter", "Last 5 minutes"},
	"hour1":           {"Siste time", "Last hour"},
	"outcome":         {"Utfall", "Outcome"},
	"count":           {"Antall", "Count"},
	"median":          {"Svartid, median", "Response, median"},
	"slow":            {"Svartid, 99 %", "Response, 99 %"},
	"nothingYet":      {"Ingenting ennå.", "Nothing yet."},
	"messagesTime":    {"Meldinger, %s", "Messages, %s"},
	"waitsTime":       {"Svartid, %s", "Response, %s"},
	"minutes5short":   {"5 min", "5 min"},
	"hour1short":      {"1 t", "1 h"},
	"latencyLabel":    {"%s: høyest %s i et steg på %s", "%s: at most %s in a step of %s"},
	"plotLabel":       {"%s: %s i alt, høyest %s per steg på %s, feilet %s", "%s: %s in all, at most %s in a step of %s, failed %s"},
	"journal":         {"Lager", "Journal"},
	"size":            {"I bruk", "In use"},
	"growth":          {"Vekst per døgn", "Growth a day"},
	"free":            {"Ledig på disken", "Free on the disk"},
	"daysLeft":        {"Disken rekker", "Disk lasts"},
	"days":            {"%d dager", "%d days"},
	"overYear":        {"over et år", "over a year"},
	"nodes":           {"Noder i drift", "Nodes alive"},
	"thisNode":        {"Denne noden", "This node"},
	"keeper":          {"passer frister", "keeps deadlines"},
	"lease":           {"Leieavtalen varer", "Lease left"},
	"clockOffset":     {"Databasens klokke foran", "Database's clock ahead"},
	"earlyReceipts":   {"Tidlige kvitteringer", "Early receipts"},
	"lastBackup":      {"Siste sikkerhetskopi", "Last backup"},
	"noBackup":        {"ingen siden oppstart", "none since the start"},
	"ends":            {"Sertifikater og tokener som utløper", "Certificates and tokens that end"},
	"end.certificate": {"sertifikat", "certificate"},
	"end.token":       {"token", "token"},
	"end.crl":         {"sperreliste", "revocation list"},
	"noEnds":          {"Ingen utløper.", "None ends."},
	"ended":           {"utløpt", "ended"},
	"warnings":        {"Siste advarsler", "Last warnings"},
	"noWarnings":      {"Ingen siden oppstart.", "None since the start."},
	"live":            {"Oppdateres av seg selv.", "Updates by itself."},
	"stale":           {"Ingen kontakt med straks. Tallene er gamle.", "No contact with straks. The figures are old."},

	// States of carriers.
	"state.up":         {"virker", "up"},
	"state.partly":     {"delvis oppe", "partly up"},
	"state.down":       {"nede", "down"},
	"state.refused":    {"avviser innlogging", "refuses the login"},
	"state.silent":     {"svarer ikke", "does not answer"},
	"state.paused":     {"satt på pause", "paused"},
	"state.draining":   {"tømmes", "draining"},
	"state.drained":    {"tømt", "drained"},
	"state.bound":      {"tilkoblet", "bound"},
	"state.connecting": {"kobler til", "connecting"},
	"state.stalled":    {"svarer sent", "stalled"},
	"state.closing":    {"kobles fra", "closing"},
	"state.closed":     {"frakoblet", "closed"},

	"state.elsewhere":   {"på en annen node", "at another node"},
	"state.taking_over": {"overtas", "being taken over"},

	// Outcomes of orders.
	"outcome.accepted":    {"tatt imot av operatør", "taken by the carrier"},
	"outcome.refused":     {"avvist av operatør", "refused by the carrier"},
	"outcome.not_sent":    {"ikke sendt", "not sent"},
	"outcome.unknown":     {"uten svar", "without an answer"},
	"outcome.repeated":    {"gjentatt", "repeated"},
	"outcome.blocked":     {"sperret mottaker", "blocked recipient"},
	"outcome.busy":        {"for mye på en gang", "too much at once"},
	"outcome.unavailable": {"lageret utilgjengelig", "store unavailable"},
	"outcome.delivered":   {"kommet fram", "delivered"},
	"outcome.failed":      {"ikke kommet fram", "not delivered"},
	"outcome.ttl":         {"uten kvittering", "without a receipt"},

	// Find.
	"findWhat":    {"Telefonnummer, e-postadresse eller en id", "Phone number, e-mail address or an id"},
	"findHelp":    {"Id: meldingens shipmentId, ordrens idempotencyId, avsenders referanse eller operatørens meldings-id.", "Id: the message's shipmentId, the order's idempotencyId, the sender's reference or the carrier's message id."},
	"findSince":   {"Hvor langt tilbake", "How far back"},
	"hours24":     {"24 timer", "24 hours"},
	"days3":       {"3 dager", "3 days"},
	"days7":       {"7 dager", "7 days"},
	"days90":      {"90 dager", "90 days"},
	"search":      {"Søk", "Search"},
	"foundNone":   {"Ingen melding passer. Søk lenger tilbake, eller be om nummeret en gang til.", "No message matches. Look further back, or ask for the number again."},
	"foundMore":   {"Det finnes flere. Velg en kortere tid, eller søk på en id.", "There are more. Choose a shorter time, or search for an id."},
	"foundCount":  {"Treff: %d", "Matches: %d"},
	"findBusy":    {"Søket tok for lang tid. Velg en kortere tid, eller søk på shipmentId.", "The search took too long. Choose a shorter time, or search for the shipmentId."},
	"findMissing": {"Skriv et nummer, en adresse eller en id.", "Give a number, an address or an id."},
	"message":     {"Melding", "Message"},
	"when":        {"Når", "When"},
	"recipient":   {"Mottaker", "Recipient"},
	"status":      {"Status", "Status"},

	// Message.
	"said.delivered":  {"Levert av %s %s etter ordren.", "Delivered by %s %s after the order."},
	"said.blocked":    {"Ikke sendt: mottakeren er sperret.", "Not sent: the recipient is blocked."},
	"said.suppressed": {"Ikke sendt: adressen er undertrykt etter tidligere returer.", "Not sent: the address is suppressed, after earlier bounces."},
	"said.settled":    {"%s har tatt den, og ingen feil ble meldt innen %s.", "%s has taken it, and no failure was reported until %s."},
	"said.ttl":        {"Ikke kjent: %s sendte ingen kvittering innen %s.", "Not known: %s sent no receipt until %s."},
	"said.failed":     {"Ikke levert, sier %s, %s etter ordren.", "Not delivered, as %s says, %s after the order."},
	"said.notSent":    {"Ikke sendt: ingen operatør kunne ta den. Avsenderen fikk vite det og kan prøve igjen.", "Not sent: no carrier could take it. The sender was told, and may try again."},
	"said.tooLate":    {"Ikke sendt: det ble klart for sent til at avsenderen kunne prøve igjen.", "Not sent: that was found too late for the sender to try again."},
	"said.perhaps":    {"Kanskje sendt: %s har ikke svart. En kvittering eller fristen %s avgjør det.", "Perhaps sent: %s has not answered. A receipt or the deadline %s settles it."},
	"said.taken":      {"%s har tatt den. En kvittering eller fristen %s avgjør resten.", "%s has taken it. A receipt or the deadline %s settles the rest."},
	"theCarrier":      {"operatøren", "the carrier"},
	"timeline":        {"Forløp", "Timeline"},
	"after":           {"Etter", "After"},
	"what":            {"Hva", "What"},
	"tellCarrier":     {"Si dette til %s", "Tell %s this"},
	"tellText":        {"meldings-id %s, %s", "message id %s, %s"},
	"details":         {"Opplysninger", "Details"},
	"reference":       {"Avsenders referanse", "Sender's reference"},
	"organisation":    {"Organisasjon", "Organisation"},
	"carrier":         {"Operatør", "Carrier"},
	"noText":          {"Teksten i meldingen lagres aldri.", "The text of the message is never stored."},
	"others":          {"Andre meldinger til samme mottaker i samme døgn", "Other messages to the same recipient in that day"},
	"isBlockedHere":   {"Se sperrelisten", "See the block list"},
	"step.accepted":   {"Ordren kom inn", "The order was accepted"},
	"step.stored":     {"Lagret", "Stored"},
	"step.ready":      {"Klar til å sendes", "Free to be sent"},
	"step.submitted":  {"Sendt til %s", "Submitted to %s"},
	"step.answered":   {"%s svarte", "%s answered"},
	"step.reported":   {"Kvittering fra %s", "Receipt from %s"},
	"step.notSent":    {"Ingen operatør tok den", "No carrier took it"},
	"step.final":      {"Endelig status", "Final status"},
	"parts":           {"%d deler", "%d parts"},
	"part1":           {"1 del", "1 part"},
	"messageIDs":      {"meldings-id %s", "message id %s"},

	// Carrier.
	"connections":  {"Forbindelser", "Connections"},
	"connection":   {"Forbindelse", "Connection"},
	"address":      {"Adresse", "Address"},
	"responseTime": {"Svartid", "Response time"},
	"connects":     {"Tilkoblet", "Connected"},
	"rateLimit":    {"Grense per sekund", "Limit a second"},
	"noLimit":      {"ingen", "none"},
	"answers":      {"Svar", "Answers"},
	"receipts":     {"Kvitteringer", "Receipts"},
	"code":         {"Kode", "Code"},
	"reading":      {"Vår lesning", "Our reading"},
	"operate":      {"Styr", "Operate"},
	"do.pause":     {"Pause", "Pause"},
	"do.drain":     {"Tøm", "Drain"},
	"do.resume":    {"Gjenoppta", "Resume"},
	"do.try":       {"Prøv nå", "Try now"},
	"help.pause":   {"Ingen nye meldinger. Kvitteringer tas imot.", "No new messages. Receipts are taken."},
	"help.drain":   {"Pause, og koble fra når alt er besvart.", "Pause, and disconnect when all is answered."},
	"help.resume":  {"Avslutt pause og tømming.", "End pause and drain."},
	"help.try":     {"Koble til nå, uten å vente.", "Connect now, without waiting."},
	"done":         {"Utført: %s.", "Done: %s."},
	"restartEnds":  {"En omstart av straks opphever pause og tømming.", "A restart of straks ends pause and drain."},
	"route":        {"Vei for et nummer", "Route of a number"},
	"number":       {"Telefonnummer", "Phone number"},
	"sender":       {"Avsender (kan stå tom)", "Sender (may be empty)"},
	"ask":          {"Vis vei", "Show the route"},
	"routeIs":      {"Rute: %s", "Route: %s"},
	"routeNone":    {"Ingen rute. Ordren ville bli avvist med 400.", "No route. The order would be refused with 400."},
	"cantCarry":    {"kan ikke: %s", "can't: %s"},
	"sendsAs":      {"fra %s, %s, %s", "from %s, %s, %s"},

	// How answers and receipts are read.
	"reading.accepted":          {"tatt imot", "accepted"},
	"reading.throttled":         {"for fort: prøves igjen, senere", "too fast: tried again, slower"},
	"reading.temporary":         {"midlertidig: prøves igjen", "temporary: tried again"},
	"reading.rebind":            {"ikke tilkoblet: kobles til på nytt", "not bound: bound again"},
	"reading.failed":            {"avvist for godt", "refused for good"},
	"reading.rejected":          {"avvist: operatøren vil ikke ha den", "rejected: the carrier does not want it"},
	"reading.invalid_recipient": {"nummeret er umulig", "the number is impossible"},
	"reading.barred":            {"mottakeren er sperret hos operatøren", "the recipient is barred at the carrier"},
	"reading.not_identified":    {"nummeret er ikke i bruk", "the number is not in use"},
	"reading.invalid_sender":    {"avsenderen er ikke tillatt", "the sender is not allowed"},
	"reading.":                  {"ukjent kode", "unknown code"},
	"reading.2yz":               {"tatt imot", "accepted"},
	"reading.4yz":               {"midlertidig avvist", "refused for now"},
	"reading.5yz":               {"avvist for godt", "refused for good"},
	"reading.none":              {"ikke noe svar", "no reply"},

	// Blocked.
	"blockedNone":    {"Ingen er sperret.", "Nobody is blocked."},
	"blockedNoMatch": {"Ingen slik sperring.", "There is no such block."},
	"blockedWho":     {"Nummer eller adresse (tom: alle)", "Number or address (empty: all)"},
	"all":            {"alle", "all"},
	"show":           {"Vis", "Show"},
	"source":         {"Av", "By"},
	"by.phone":       {"mottakeren, med «%s»", "the recipient, with “%s”"},
	"by.operator":    {"%s", "%s"},
	"by.bounce":      {"e-post i retur (%s)", "a mail that came back (%s)"},
	"by.complaint":   {"klage fra mottakeren", "a complaint of the recipient"},
	"until":          {"til %s", "until %s"},
	"by.unknown":     {"ikke kjent", "not known"},
	"lifted":         {"opphevet", "lifted"},
	"isBlocked":      {"sperret", "blocked"},
	"lift":           {"Opphev", "Lift"},
	"liftOf":         {"Opphev sperringen av %s", "Lift the block of %s"},
	"liftDone":       {"Sperringen er opphevet.", "The block is lifted."},
	"next":           {"Neste", "Next"},
	"liftAskFirst":   {"Mottakeren skal selv ha bedt om det.", "The recipient must have asked for it."},

	// Organisations.
	"tokens":     {"Tokener", "Tokens"},
	"scopes":     {"Kan brukes til", "May be used for"},
	"expires":    {"Utløper", "Expires"},
	"lastUse":    {"Sist brukt", "Last use"},
	"notUsed":    {"ikke siden oppstart", "not since the start"},
	"limits":     {"Grenser", "Limits"},
	"limitRate":  {"%s ordrer i sekundet, %d på en gang", "%s orders a second, %d at once"},
	"limitNone":  {"ingen", "none"},
	"pumping":    {"Mistanke om pumping (kunstig trafikk), se straks limits list", "Pumping suspected, see straks limits list"},
	"spent":      {"Kostnad denne måneden (UTC)", "Cost this month (UTC)"},
	"ofBudget":   {"(%s av budsjettet på %s)", "(%s of the budget of %s)"},
	"outcomes24": {"Utfall siste 24 timer", "Outcomes of the last 24 hours"},
	"results24":  {"Kommet fram siste 24 timer", "Delivered in the last 24 hours"},
	"noTokens":   {"Ingen tokener: ingen kan sende.", "No tokens: nobody can send."},
}

// lang is a language of the console.
type lang uint8

const (
	norwegian lang = iota
	english
)

func (l lang) String() string { return [...]string{"nb", "en"}[l] }

// tags are what the console can match a browser's languages with; the first stands for English.
var tags = []language.Tag{language.English, language.MustParse("nb"), language.MustParse("nn"), language.MustParse("no")}

// languageOf returns the language that the request asks for: by the switch, else by the browser's settings.
func languageOf(r *http.Request) lang {
	if c, err := r.Cookie(languageCookie); err == nil {
		switch c.Value {
		case "nb":
			return norwegian
		case "en":
			return english
		}
	}
	wanted, _, err := language.ParseAcceptLanguage(r.Header.Get("Accept-Language"))
	if err != nil || len(wanted) == 0 {
		return english
	}
	if _, i, _ := language.NewMatcher(tags).Match(wanted...); i == 0 {
		return english
	}
	return norwegian
}

// say returns a text. A key that is not in the table is shown as it is: a state or code of a newer part.
func (l lang) say(key string, args ...any) string {
	text, ok := words[key]
	if !ok {
		_, bare, found := strings.Cut(key, ".")
		if !found {
			bare = key
		}
		return bare
	}
	if len(args) == 0 {
		return text[l]
	}
	return fmt.Sprintf(text[l], args...)
}
