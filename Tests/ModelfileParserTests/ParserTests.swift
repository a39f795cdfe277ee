import ModelfileParser
import Testing
