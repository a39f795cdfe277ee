import KapsuleIO

@main
struct Kapsule {
    static func main() { StandardStream.prepare() }
}
