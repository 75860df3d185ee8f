// Sends an SMS through straks, and follows the feed of status changes.
// Needs .NET 8. STRAKS_URL is the base URL, STRAKS_TOKEN the bearer token.
//
//   dotnet run -- send PHONE TEXT     prints the shipment's id
//   dotnet run -- follow FILE [N]     prints each change, ends after N of them; FILE keeps the cursor

using System.Net;
using System.Net.Http.Headers;
using System.Net.Http.Json;

var http = new HttpClient(new HttpClientHandler { AllowAutoRedirect = false }) { Timeout = TimeSpan.FromSeconds(35) };
http.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", Environment.GetEnvironmentVariable("STRAKS_TOKEN"));
var straks = new Straks(http, Environment.GetEnvironmentVariable("STRAKS_URL")!);

switch (args)
{
    case ["send", var phone, var text]:
        Console.WriteLine(await straks.Send(phone, text, TimeSpan.FromMinutes(1)));
        return 0;
    case ["follow", var file, ..]:
        var left = args.Length > 2 ? int.Parse(args[2]) : 0;
        await straks.Follow(file, e =>
        {
            Console.WriteLine($"{e.SequenceNumber} {e.ShipmentId} {e.Recipients[0].Status}");
            return --left != 0;
        });
        return 0;
    default:
        Console.Error.WriteLine("usage: send PHONE TEXT | follow FILE [N]");
        return 2;
}

public sealed record Placed(Notification Notification);
public sealed record Notification(Guid ShipmentId);
public sealed record Recipient(string Status);
public sealed record Entry(long SequenceNumber, Guid ShipmentId, Recipient[] Recipients);

/// <summary>The call may be repeated after that time.</summary>
public sealed class AgainException(TimeSpan after, string why) : Exception(why)
{
    public TimeSpan After { get; } = after;
}

public sealed class Straks(HttpClient http, string url)
{
    private async Task<T> Call<T>(HttpMethod method, string path, object? body)
    {
        using var request = new HttpRequestMessage(method, url + path);
        if (body is not null) request.Content = JsonContent.Create(body);
        try
        {
            using var answer = await http.SendAsync(request);
            if (answer.IsSuccessStatusCode) return (await answer.Content.ReadFromJsonAsync<T>())!;
            if (answer.StatusCode is HttpStatusCode.RequestTimeout or HttpStatusCode.TooManyRequests || (int)answer.StatusCode >= 500)
                throw new AgainException(answer.Headers.RetryAfter?.Delta ?? TimeSpan.FromSeconds(1), $"answered {(int)answer.StatusCode}");
            throw new InvalidOperationException($"refused with {(int)answer.StatusCode}: {await answer.Content.ReadAsStringAsync()}");
        }
        catch (Exception e) when (e is HttpRequestException or IOException or TaskCanceledException)
        {
            throw new AgainException(TimeSpan.FromSeconds(1), e.Message); // no answer, or half of one
        }
    }

    /// <summary>Sends one SMS and returns the shipment's id.</summary>
    public async Task<Guid> Send(string phone, string text, TimeSpan within)
    {
        // One key for one message, made before the first attempt and the same in each. It makes the repeat
        // safe: straks sends a key once, however often it comes. Keep it with what the message is about.
        var order = new
        {
            idempotencyId = Guid.NewGuid().ToString(),
            recipientSms = new { phoneNumber = phone, timeToLiveInSeconds = 300, smsSettings = new { body = text } },
        };
        var deadline = DateTime.UtcNow + within;
        while (true)
        {
            try
            {
                return (await Call<Placed>(HttpMethod.Post, "/future/orders/instant/sms", order)).Notification.ShipmentId;
            }
            catch (AgainException e) when (DateTime.UtcNow + e.After < deadline)
            {
                await Task.Delay(e.After);
            }
        }
    }

    /// <summary>Calls handle with each entry, in order, until it returns false. After a crash the last entry may come again.</summary>
    public async Task Follow(string file, Func<Entry, bool> handle)
    {
        var cursor = File.Exists(file) ? long.Parse(await File.ReadAllTextAsync(file)) : 0;
        while (true)
        {
            Entry[] page = [];
            var pause = TimeSpan.Zero; // after an answer: the service has waited
            try
            {
                page = await Call<Entry[]>(HttpMethod.Get, $"/future/shipment/feed?seq={cursor}&wait=30", null);
            }
            catch (AgainException e)
            {
                pause = e.After;
            }
            foreach (var entry in page)
            {
                var more = handle(entry);
                cursor = entry.SequenceNumber;
                await File.WriteAllTextAsync(file, cursor.ToString()); // only when the entry is dealt with
                if (!more) return;
            }
            await Task.Delay(pause);
        }
    }
}
