internal import KapsuleCrypto

/// Blocks between `-----BEGIN X-----` and `-----END X-----`.
///
/// Source: RFC 7468; RFC 1421 for the headers of old encrypted keys.
struct PEMBlock {
    let label: String
    /// By name.
    let headers: [String: String]
    let body: SecretBytes

    var isLegacyEncrypted: Bool { headers["Proc-Type"]?.contains("ENCRYPTED") ?? false }

    /// All blocks of a text, in order; nil when one of them is broken.
    static func all(in text: [UInt8]) -> [PEMBlock]? {
        var blocks: [PEMBlock] = []
        var open: (label: String, lines: [ArraySlice<UInt8>])?
        for line in text.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false) {
            let line = trimmed(line)
            if let label = label(line, "-----BEGIN ") {
                guard open == nil else { return nil }
                open = (label, [])
            } else if let label = label(line, "-----END ") {
                guard let (opened, lines) = open, opened == label, let block = block(label, lines) else { return nil }
                blocks.append(block)
                open = nil
            } else {
                open?.lines.append(line)
            }
        }
        return open == nil ? blocks : nil
    }

    private static func trimmed(_ line: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
        func isBlank(_ byte: UInt8) -> Bool { byte == 0x20 || byte == 0x09 || byte == 0x0D }
        let front = line.drop(while: isBlank)
        return front.prefix(upTo: front.lastIndex { !isBlank($0) }.map { $0 + 1 } ?? front.startIndex)
    }

    private static func label(_ line: ArraySlice<UInt8>, _ start: String) -> String? {
        let text = String(decoding: line, as: UTF8.self)
        guard text.hasPrefix(start), text.hasSuffix("-----"), text.utf8.count > start.utf8.count + 5 else { return nil }
        return String(text.dropFirst(start.count).dropLast(5))
    }

    private static func block(_ label: String, _ lines: [ArraySlice<UInt8>]) -> PEMBlock? {
        var headers: [String: String] = [:]
        var body = lines[...]
        if let gap = lines.firstIndex(where: \.isEmpty),
            lines[..<gap].contains(where: { $0.contains(UInt8(ascii: ":")) })
        {
            for line in lines[..<gap] {
                let parts = String(decoding: line, as: UTF8.self).split(separator: ":", maxSplits: 1)
                guard parts.count == 2 else { continue }
                headers[String(parts[0])] = String(parts[1].drop { $0 == " " })
            }
            body = lines[(gap + 1)...]
        }
        guard var bytes = Base64.decode(Array(body.joined())), !bytes.isEmpty else { return nil }
        return PEMBlock(label: label, headers: headers, body: SecretBytes(taking: &bytes))
    }

    /// 64 characters a line.
    static func encode(_ label: String, _ der: [UInt8]) -> [UInt8] {
        var text = Array("-----BEGIN \(label)-----\n".utf8)
        let digits = Base64.encodeBytes(der)
        for start in stride(from: 0, to: digits.count, by: 64) {
            text += digits[start..<min(start + 64, digits.count)]
            text.append(UInt8(ascii: "\n"))
        }
        return text + Array("-----END \(label)-----\n".utf8)
    }
}
