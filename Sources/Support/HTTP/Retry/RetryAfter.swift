/// `Retry-After: 120` and `Retry-After: Wed, 21 Oct 2015 07:28:00 GMT`.
///
/// Source: RFC 9110, section 10.2.3.
enum RetryAfter {
    /// Seconds from `now`, not below 0. Nil for anything else.
    static func seconds(_ text: String, now: Int64) -> Int64? {
        let text = text.trimmed
        if !text.isEmpty, text.utf8.allSatisfy({ (0x30...0x39).contains($0) }) { return Int64(text) ?? Int64.max / 4 }
        return HTTPDate.seconds(text).map { max(0, $0 - now) }
    }
}

/// `RateLimit: "resolvers";r=0;t=120`: nothing is left of the quota, which is renewed after `t` seconds.
///
/// Source: IETF draft-ietf-httpapi-ratelimit-headers-09, section 4.
enum RateLimit {
    /// Seconds to wait: one more than until the quota is renewed. Nil where some is left or nothing is said.
    static func wait(_ response: HTTPResponse) -> Int64? {
        guard response.status == 429 || response.status == 503, let text = response.headers["RateLimit"] else {
            return nil
        }
        // With several quotas, separated by commas, the one that is used up longest.
        return text.split(separator: ",").compactMap { item -> Int64? in
            var values: [Substring: Int64] = [:]
            for part in item.split(separator: ";").dropFirst() {
                let pair = part.split(separator: "=", maxSplits: 1)
                guard pair.count == 2 else { continue }
                values[Substring(String(pair[0]).trimmed)] = Int64(String(pair[1]).trimmed)
            }
            guard values["r"] == 0, let seconds = values["t"], (0..<Int64.max / 4).contains(seconds) else { return nil }
            return seconds + 1
        }.max()
    }
}

/// The three forms of a date in HTTP.
///
/// ```
/// Sun, 06 Nov 1994 08:49:37 GMT
/// Sunday, 06-Nov-94 08:49:37 GMT
/// Sun Nov  6 08:49:37 1994
/// ```
///
/// Source: RFC 9110, section 5.6.7.
enum HTTPDate {
    private static let months = [
        "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
    ]

    /// Seconds since 1970. Nil for what is no such date.
    static func seconds(_ text: String) -> Int64? {
        let words = text.lowercased().split { " -,".contains($0) }
        switch words.count {
        case 6 where words[5] == "gmt": return seconds(words[3], words[2], words[1], words[4])
        case 5: return seconds(words[4], words[1], words[2], words[3])
        default: return nil
        }
    }

    private static func seconds(
        _ year: Substring, _ month: Substring, _ day: Substring, _ clock: Substring
    ) -> Int64? {
        let time = clock.split(separator: ":", omittingEmptySubsequences: false).map { Int64($0) }
        guard var year = Int64(year), let month = months.firstIndex(of: String(month)), let day = Int64(day),
            time.count == 3, let hour = time[0], let minute = time[1], let second = time[2],
            (1...31).contains(day), (0...23).contains(hour), (0...59).contains(minute), (0...60).contains(second),
            (0...9999).contains(year)
        else { return nil }
        if year < 100 { year += year < 70 ? 2000 : 1900 }
        return days(year, Int64(month) + 1, day) * 86400 + hour * 3600 + minute * 60 + second
    }

    /// Days since 1970-01-01 in the Gregorian calendar, whose year is taken to begin in March.
    static func days(_ year: Int64, _ month: Int64, _ day: Int64) -> Int64 {
        let shifted = month > 2 ? year : year - 1
        let era = (shifted >= 0 ? shifted : shifted - 399) / 400
        let ofEra = shifted - era * 400
        let ofYear = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1
        return era * 146_097 + ofEra * 365 + ofEra / 4 - ofEra / 100 + ofYear - 719_468
    }
}
