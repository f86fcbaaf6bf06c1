# What every target of this project is compiled with.

include_guard(GLOBAL)

if(CROSSNEST_IPO)
  include(CheckIPOSupported)
  check_ipo_supported(RESULT CROSSNEST_IPO_SUPPORTED LANGUAGES CXX)
endif()

# crossnest_target(<target>): language level, warnings, sanitizers, link-time optimisation.
function(crossnest_target target)
  target_compile_features(${target} PRIVATE cxx_std_17)
  set_target_properties(${target} PROPERTIES CXX_EXTENSIONS OFF)
  # Eigen under a name of our own: a program with an Eigen of its own may be compiled for another
  # processor or version, and the linker must not take the functions of one for those of the other.
  target_compile_definitions(${target} PRIVATE Eigen=crossnest_eigen)
  if(MSVC)
    target_compile_options(${target} PRIVATE /W4 $<$<BOOL:${CROSSNEST_WARNINGS_AS_ERRORS}>:/WX>)
  else()
    target_compile_options(
      ${target}
      PRIVATE -Wall
              -Wextra
              -Wpedantic
              -Wshadow
              -Wconversion
              -Wnon-virtual-dtor
              -Woverloaded-virtual
              $<$<BOOL:${CROSSNEST_WARNINGS_AS_ERRORS}>:-Werror>)
  endif()
  if(CROSSNEST_SANITIZE)
    set(flags -fsanitize=${CROSSNEST_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
    target_compile_options(${target} PRIVATE ${flags})
    target_link_options(${target} PRIVATE ${flags})
  endif()
  if(CROSSNEST_IPO_SUPPORTED)
    set_target_properties(${target} PROPERTIES INTERPROCEDURAL_OPTIMIZATION ON)
  endif()
endfunction()
