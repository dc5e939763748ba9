#pragma once

#include <type_traits>
#include <variant>

namespace volley {

// Lists of types, so that what there is of a kind (Neurons, Layers) is listed once, and all that runs over it
// follows.

template <class... Types>
struct TypeList {};

/// Calls body.operator()<T>() for each of the list, in order: for_each_type(Neurons{}, [&]<class Options>()
/// {...});
template <class... Types, class Body>
void for_each_type(TypeList<Types...>, const Body& body) {
  (body.template operator()<Types>(), ...);
}

namespace detail {
template <class... Lists>
struct Join;
template <class... Types>
struct Join<TypeList<Types...>> {
  using Type = TypeList<Types...>;
};
template <class... A, class... B, class... Rest>
struct Join<TypeList<A...>, TypeList<B...>, Rest...> : Join<TypeList<A..., B...>, Rest...> {};

template <template <class> class F, class List>
struct Map;
template <template <class> class F, class... Types>
struct Map<F, TypeList<Types...>> {
  using Type = TypeList<F<Types>...>;
};

template <class List>
struct Variant;
template <class... Types>
struct Variant<TypeList<Types...>> {
  using Type = std::variant<Types...>;
};

template <class T, class List>
inline constexpr bool kIsIn = false;
template <class T, class... Types>
inline constexpr bool kIsIn<T, TypeList<Types...>> = (std::is_same_v<T, Types> || ...);
}  // namespace detail

/// All types of some lists, in order.
template <class... Lists>
using JoinedLists = typename detail::Join<Lists...>::Type;

/// F<T> for each T of a list.
template <template <class> class F, class List>
using MappedList = typename detail::Map<F, List>::Type;

/// One of a list's types, as std::variant.
template <class List>
using VariantOf = typename detail::Variant<List>::Type;

template <class T, class List>
concept IsIn = detail::kIsIn<T, List>;

}  // namespace volley
