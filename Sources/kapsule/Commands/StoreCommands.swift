internal import ArgumentParser
internal import KapsuleCore
internal import OCI
internal import Store

struct List: Verb {
    static let configuration = CommandConfiguration(commandName: "ls", abstract: "List the images of the local store.")

    @Flag(help: "Print JSON.")
    var json = false

    @OptionGroup(title: "Output") var output: OutputOptions

    func run(in toolbox: Toolbox) async throws {
        let images = try toolbox.store().images()
        if json { return try toolbox.print(JSON.array(images.map(\.json)).pretty) }
        if output.quiet { return try images.forEach { try toolbox.print($0.digest.description) } }
        var table = TextTable(.left("NAME"), .left("DIGEST"), .right("SIZE"), .left("TAGGED"))
        for image in images {
            let state = image.problem == nil ? image.tagged.map(Timestamp.text) ?? "" : "incomplete"
            table.add(image.reference, image.digest.short, ByteCount.text(image.size), state)
        }
        try toolbox.write(table.rendered())
    }
}

extension StoredImage {
    /// As `ls --json` and `du --json` show it.
    var json: JSON {
        .members([
            "name": .string(reference), "digest": .string(digest.description), "size": .int(size),
            "sharedSize": .int(sharedSize), "tagged": tagged.map { .string(Timestamp.text($0)) },
            "problem": problem.map { .string($0.message) },
        ])
    }
}

struct Remove: Verb {
    static let configuration = CommandConfiguration(
        commandName: "rm", abstract: "Take names away from the local store.",
        discussion: "'kapsule prune' then frees the space of what has no name left.")

    @Argument(help: "Names, or the beginnings of digests.")
    var names: [String]

    @OptionGroup(title: "Output") var output: OutputOptions

    func run(in toolbox: Toolbox) async throws {
        let store = try toolbox.store()
        for name in names { for removed in try store.remove(name) { try toolbox.print(removed) } }
    }
}

struct Prune: Verb {
    static let configuration = CommandConfiguration(
        abstract: "Free the space of what no name of the local store needs.")

    @OptionGroup(title: "Output") var output: OutputOptions

    func run(in toolbox: Toolbox) async throws {
        let result = try toolbox.store().prune()
        if result.isInUse {
            throw KapsuleError(
                .unavailable, id: "store.in-use",
                "another kapsule is using the local store, and may need what looks unused",
                remedy: "run the command again when it has ended")
        }
        let count = result.removed.count
        try toolbox.print("\(count) \(count == 1 ? "blob" : "blobs"), \(ByteCount.text(result.freed))")
    }
}

struct DiskUsage: Verb {
    static let configuration = CommandConfiguration(
        commandName: "du", abstract: "Say what the local store takes on disk.",
        discussion: "SHARED is what other images need too; a blob counts once in the total.")

    @Flag(help: "Print JSON.")
    var json = false

    @OptionGroup(title: "Output") var output: OutputOptions

    func run(in toolbox: Toolbox) async throws {
        let usage = try toolbox.store().usage()
        if json { return try toolbox.print(usage.json.pretty) }
        var table = TextTable(.left("NAME"), .right("SIZE"), .right("SHARED"), .right("UNIQUE"))
        for image in usage.images {
            table.add(
                image.reference, ByteCount.text(image.size), ByteCount.text(image.sharedSize),
                ByteCount.text(image.uniqueSize))
        }
        table.add("total", ByteCount.text(usage.total), "", "")
        table.add("reclaimable", ByteCount.text(usage.reclaimable), "", "")
        try toolbox.write(table.rendered())
    }
}

extension StoreUsage {
    fileprivate var json: JSON {
        .members([
            "images": .array(images.map(\.json)), "total": .int(total), "reclaimable": .int(reclaimable),
        ])
    }
}
